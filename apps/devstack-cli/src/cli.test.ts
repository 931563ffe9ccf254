import { describe, expect, test } from 'vitest';
import { parse } from './cli.ts';
import { commands } from './commands.ts';
import { helpPage } from './help.ts';

describe('the command line', () => {
  const cases: readonly (readonly [string, string, Record<string, unknown>])[] = [
    ['up', 'up', { services: [], json: false }],
    ['start --profile minimal', 'up', { profile: 'minimal' }],
    ['up -p reference --json', 'up', { profile: 'reference', json: true }],
    ['up postgres redis-1', 'up', { services: ['postgres', 'redis-1'] }],
    ['stop redis-2', 'down', { services: ['redis-2'] }],
    ['logs -f redis-2 --tail 5', 'logs', { follow: true, services: ['redis-2'], tail: '5' }],
    ['exec postgres -- ls -l --color', 'exec', { service: 'postgres', '--': ['ls', '-l', '--color'] }],
    ['vault show-password postgres', 'vault show-password', { service: 'postgres', field: 'password' }],
    [
      'vault-show-password postgres --field username',
      'vault show-password',
      { service: 'postgres', field: 'username' },
    ],
    ['vault-bootstrap', 'vault bootstrap', {}],
    ['vault-approle-status --json', 'vault approle-status', { json: true }],
    ['images build --rebuild', 'images', { action: 'build', rebuild: true }],
    ['reset --dry-run', 'reset', { 'dry-run': true }],
    ['audit all --format json --format sarif', 'audit all', { format: 'sarif' }],
    ['backup create --recipient a --recipient b', 'backup create', { recipient: ['a', 'b'] }],
    ['logs redis-1 redis-2 --tail 1 --tail 2', 'logs', { services: ['redis-1', 'redis-2'], tail: '2' }],
  ];

  test.each(cases)('%s', async (line, name, expected) => {
    const parsed = await parse(line.split(' '));
    expect(parsed.kind).toBe('command');
    if (parsed.kind !== 'command') return;
    expect(parsed.name).toBe(name);
    for (const [key, value] of Object.entries(expected)) {
      const actual = key === 'json' ? parsed.json : (parsed.arguments[key] ?? (Array.isArray(value) ? [] : undefined));
      expect(actual).toEqual(value);
    }
  });

  test.each([
    ['upp', /Did you mean up/],
    ['vault show-passwort postgres', /show-password/],
    ['up --profil minimal', /profil/],
    ['vault show-password', /service|Not enough/],
    ['completion', /shell|Not enough/],
    ['vault', /Name what to do/],
    ['up --progress loud', /progress/],
  ])('%s is a usage error that says what would be right', async (line, message) => {
    await expect(parse(line.split(' '))).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(message) as string,
    });
  });

  test('help lists every command, and each page has examples and exit codes', () => {
    const whole = helpPage([]);
    for (const spec of commands) {
      expect(whole).toContain(`  ${spec.name}`);
      const page = helpPage(spec.name.split(' '));
      expect(page).toContain('Exit status:');
      for (const [example] of spec.examples) expect(page).toContain(example);
    }
  });

  test('every example of the help is a command line that parses', async () => {
    for (const [example] of commands.flatMap((spec) => spec.examples)) {
      const line = example
        .replace(/^.*\| /, '')
        .replace(/ > .*$/, '')
        .replace(/^devstack /, '');
      await expect(parse(line.split(' ')), example).resolves.toMatchObject({ kind: 'command' });
    }
  });

  test('no command takes a secret as a flag', () => {
    const flags = commands.flatMap((spec) => Object.keys(spec.flags ?? {}));
    expect(flags.filter((flag) => /pass|secret|token|key/.test(flag) && !/-(file|stdin)$/.test(flag))).toEqual([]);
  });
});
