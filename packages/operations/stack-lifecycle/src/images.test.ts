import { expect, test } from 'vitest';
import { copySources } from './images.ts';

test('what a Dockerfile takes from its context is what its image depends on', () => {
  const dockerfile = [
    'FROM base AS build',
    'COPY go.mod go.sum main.go ./',
    'COPY --from=build /out/server /usr/local/bin/',
    'COPY --chmod=0755 scripts/a.sh \\',
    '  scripts/b.sh /usr/local/bin/',
    'ADD extra.tar /x',
    '# COPY not-this /y',
    'copy lower /z',
  ].join('\n');
  expect(copySources(dockerfile)).toEqual([
    'go.mod',
    'go.sum',
    'main.go',
    'scripts/a.sh',
    'scripts/b.sh',
    'extra.tar',
    'lower',
  ]);
});
