import { readdirSync, readFileSync } from 'node:fs';
import { verificationReportSchema } from '@devstack-core/backup-verification';
import { expect, it } from 'vitest';
import { publishedKinds, publishedProblem, schemaOf } from '../test/support/published-schema.ts';

const source = new URL('.', import.meta.url);
const texts = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
  .map((path) => readFileSync(new URL(path, source), 'utf8'));
/** Those that a package makes and a command prints as they are. */
const ofPackages = ['devstack/verification/1', 'devstack/recovery-report/1', 'devstack/recovery-dry-run/1'];

it('every document that a command prints is in the published schema', () => {
  const printed = texts.flatMap((text) =>
    [...text.matchAll(/schema: '(devstack\/[^']+)'/g)].map(([, kind = '']) => kind),
  );
  expect(printed.length).toBeGreaterThan(30);
  const known = new Set(publishedKinds.values());
  expect([...printed, ...ofPackages].filter((kind) => !known.has(kind))).toEqual([]);
});

it('a verification is published as its package publishes it', () => {
  const { $schema: _schema, title: _title, ...own } = verificationReportSchema;
  expect(publishedKinds.get('verification')).toBe('devstack/verification/1');
  expect(schemaOf('verification').schema).toMatchObject(own);
});

it('the control: a document that is unknown, or lacks something, is told', () => {
  expect(publishedProblem({ schema: 'devstack/backup-undelete/1', id: '20261121_020000' })).toBeUndefined();
  expect(publishedProblem({ schema: 'devstack/backup-undelete/1' })).toContain("'id'");
  expect(publishedProblem({ schema: 'devstack/nothing/1' })).toContain('devstack/nothing/1');
  expect(publishedProblem({ schema: 'devstack/backup-copy/1', sets: [] })).toContain('copiedFiles');
});
