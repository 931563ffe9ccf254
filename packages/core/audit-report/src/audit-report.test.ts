import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import {
  auditReport,
  auditReportSchema,
  findingId,
  severities,
  toJson,
  toSarif,
  toTableRows,
  verdictOf,
  type Finding,
} from './index.ts';

const leak: Finding = {
  id: findingId('secret-in-environment', 'postgres', 'POSTGRES_PASSWORD'),
  ruleId: 'secret-in-environment',
  severity: 'critical',
  title: 'No secret in the environment of a container.',
  message: 'POSTGRES_PASSWORD holds the value of postgres/password.',
  location: { file: './infrastructure/compose/my file.yaml', line: 12 },
  subject: 'postgres',
  remediation: 'Read it from a file.',
};
const capability: Finding = {
  id: findingId('capability-not-listed', 'redis-1', 'CHOWN'),
  ruleId: 'capability-not-listed',
  severity: 'low',
  title: 'Every capability has a reason.',
  message: 'CHOWN has no reason.',
  subject: 'redis-1',
  remediation: 'Drop it.',
};
const input = {
  tool: { name: 'devstack-audit', version: '1.2.3' },
  startedAt: new Date('2026-01-02T03:04:05Z'),
  findings: [capability, leak, { ...capability, id: 'b', subject: 'a' }, { ...capability, id: 'a', subject: 'a' }],
  notChecked: [{ subject: 'mongodb', reason: 'the container does not run' }],
  checkedCount: 12,
};
const report = auditReport(input);

describe('a report', () => {
  it('puts the gravest finding first, and the same ones always in the same order', () => {
    expect(report.findings.map(({ id }) => id)).toEqual([leak.id, 'a', 'b', capability.id]);
    expect(auditReport({ ...input, findings: input.findings.toReversed() })).toEqual(report);
  });

  it.each([
    ['pass', { findings: [], notChecked: [], checkedCount: 1 }],
    ['incomplete', { findings: [], notChecked: input.notChecked, checkedCount: 5 }],
    ['incomplete', { findings: [], notChecked: [], checkedCount: 0 }],
    ['findings', { findings: [leak], notChecked: input.notChecked, checkedCount: 5 }],
  ] as const)('has the verdict %s for %j', (verdict, counts) => {
    expect(verdictOf(counts)).toBe(verdict);
  });

  it('names the same finding alike in each run, and different ones differently', () => {
    expect(leak.id).toMatch(/^secret-in-environment-[0-9a-f]{16}$/);
    expect(findingId('rule', 'a', 'b')).toBe(findingId('rule', 'a', 'b'));
    expect(findingId('rule', 'a', 'b')).not.toBe(findingId('rule', 'ab'));
  });
});

describe('as JSON', () => {
  const validate = new Ajv2020().compile(auditReportSchema);

  it('fits the published schema and counts by severity', () => {
    const json: unknown = JSON.parse(JSON.stringify(toJson(report)));
    expect(validate(json), JSON.stringify(validate.errors)).toBe(true);
    expect(json).toMatchObject({
      schemaVersion: 1,
      verdict: 'findings',
      counts: { critical: 1, high: 0, medium: 0, low: 3, info: 0 },
    });
  });

  it('the schema rejects a report with an unknown severity', () => {
    expect(validate({ ...toJson(report), findings: [{ ...leak, severity: 'grave' }] })).toBe(false);
  });
});

describe('as SARIF', () => {
  const schemaFile = createRequire(import.meta.url).resolve('@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json');
  // Written in draft 4, whose `id` later drafts refuse.
  const {
    $schema: _schema,
    id: _id,
    ...schema
  } = JSON.parse(readFileSync(schemaFile, 'utf8')) as Record<string, unknown>;
  const validate = new Ajv({ strict: false, validateFormats: false, unicodeRegExp: false }).compile(schema);
  const options = {
    defaultFile: 'infrastructure/compose/compose.yaml',
    informationUri: 'https://example.org/devstack',
    category: 'capabilities/',
  };

  it.each([
    ['findings', report, options],
    ['nothing found', auditReport({ ...input, findings: [], notChecked: [] }), { defaultFile: 'x' }],
    [
      'every severity',
      auditReport({ ...input, findings: severities.map((severity) => ({ ...leak, severity, ruleId: severity })) }),
      options,
    ],
  ])('fits the schema of SARIF 2.1.0: %s', (_name, of, how) => {
    const log: unknown = JSON.parse(JSON.stringify(toSarif(of, how)));
    expect(validate(log), JSON.stringify(validate.errors)).toBe(true);
  });

  it('the schema rejects a log of another version', () => {
    expect(validate({ ...toSarif(report, options), version: '2.0.0' })).toBe(false);
  });

  it('has what GitHub asks for: a file, a line, a rule and a fingerprint for every result', () => {
    const { runs } = toSarif(report, options) as unknown as { runs: [Run] };
    const [{ results, tool, invocations, automationDetails }] = runs;
    const places = results.map(
      ({ locations: [{ physicalLocation: place }] }) =>
        `${place.artifactLocation.uri}:${String(place.region.startLine)}`,
    );
    expect(places).toEqual([
      'infrastructure/compose/my%20file.yaml:12',
      ...Array<string>(3).fill('infrastructure/compose/compose.yaml:1'),
    ]);
    for (const result of results) {
      expect(tool.driver.rules[result.ruleIndex]?.id).toBe(result.ruleId);
      expect(Object.values(result.partialFingerprints)[0]).not.toBe('');
    }
    expect(results.map(({ level }) => level)).toEqual(['error', 'note', 'note', 'note']);
    expect(tool.driver.rules.map(({ properties }) => properties['security-severity'])).toEqual(['9.5', '2.0']);
    expect(automationDetails).toEqual({ id: 'capabilities/' });
    expect(invocations).toMatchObject([
      {
        executionSuccessful: false,
        toolExecutionNotifications: [{ message: { text: 'mongodb was not checked: the container does not run' } }],
      },
    ]);
  });
});

describe('as rows of a table', () => {
  it('has the findings, where they are, and what was not checked', () => {
    expect(toTableRows(report).map(({ severity, subject, where }) => [severity, subject, where])).toEqual([
      ['critical', 'postgres', './infrastructure/compose/my file.yaml:12'],
      ['low', 'a', ''],
      ['low', 'a', ''],
      ['low', 'redis-1', ''],
      ['not checked', 'mongodb', ''],
    ]);
    expect(
      toTableRows(auditReport({ ...input, findings: [{ ...leak, location: { file: 'a.yaml' } }] }))[0]?.where,
    ).toBe('a.yaml');
  });
});

interface Run {
  readonly tool: {
    readonly driver: { readonly rules: { readonly id: string; readonly properties: Record<string, string> }[] };
  };
  readonly automationDetails: { readonly id: string };
  readonly invocations: readonly unknown[];
  readonly results: {
    readonly ruleId: string;
    readonly ruleIndex: number;
    readonly level: string;
    readonly partialFingerprints: Record<string, string>;
    readonly locations: [{ physicalLocation: { artifactLocation: { uri: string }; region: { startLine: number } } }];
  }[];
}
