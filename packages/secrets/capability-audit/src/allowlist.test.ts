import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseAllowlist } from './index.ts';

const good = `# why
capabilities:
  - service: web
    capability: cap_net_admin
    reason: It makes routes.
    risk: high
    owner: platform
    expires: 2027-01-31

hardening:
  - { service: job, rule: root-user, reason: r, owner: "o", expires: 2027-01-31 }
`;

describe('an allowlist', () => {
  it('is read with its lines', () => {
    expect(parseAllowlist(good, 'a.yaml')).toEqual({
      file: 'a.yaml',
      entries: [
        {
          service: 'web',
          capability: 'NET_ADMIN',
          reason: 'It makes routes.',
          risk: 'high',
          owner: 'platform',
          expires: '2027-01-31',
          line: 3,
        },
      ],
      exceptions: [{ service: 'job', rule: 'root-user', reason: 'r', owner: 'o', expires: '2027-01-31', line: 11 }],
    });
  });

  it.each(['', '# nothing\n', 'capabilities:\n', 'capabilities: []\nhardening: []\n'])('may be empty: %j', (text) => {
    expect(parseAllowlist(text, 'a.yaml')).toEqual({ file: 'a.yaml', entries: [], exceptions: [] });
  });

  it("the stack's own can be read, and accepts nothing", () => {
    const file = 'configs/capability-allowlist.yaml';
    const text = readFileSync(new URL(`../../../../${file}`, import.meta.url), 'utf8');
    expect(parseAllowlist(text, file)).toMatchObject({ entries: [], exceptions: [] });
    // The example in its comment is a real one.
    const example = text
      .replace(/^[^]*?all of these fields:\n#\n/, '')
      .replace(/\ncapabilities: \[\][^]*$/, '')
      .replaceAll(/^# {3}/gm, '');
    expect(parseAllowlist(example, file)).toMatchObject({
      entries: [{ service: 'haproxy' }],
      exceptions: [{ service: 'legacy-job' }],
    });
  });

  const change = (from: string, to: string): string => {
    expect(good).toContain(from);
    return good.replace(from, to);
  };

  it.each<[string, () => string, number, string, string?]>([
    [
      'a typo in a capability',
      () => change('cap_net_admin', 'NET_ADMN'),
      4,
      '"NET_ADMN" is no capability',
      'Did you mean NET_ADMIN?',
    ],
    [
      'a typo in a rule',
      () => change('root-user', 'rot-user'),
      11,
      '"rot-user" is no hardening rule',
      'Did you mean root-user?',
    ],
    [
      'a typo in a field',
      () => change('owner: platform', 'ower: platform'),
      7,
      'an entry has the unknown field ower',
      'Did you mean owner?',
    ],
    [
      'a typo in a list',
      () => change('hardening:', 'hardning:'),
      10,
      'has the unknown field hardning',
      'Did you mean hardening?',
    ],
    ['a risk that is none', () => change('risk: high', 'risk: hihg'), 6, 'risk is "hihg"', 'Did you mean high?'],
    ['a missing field', () => change('    risk: high\n', ''), 3, 'an entry has no risk'],
    ['an empty field', () => change('It makes routes.', '""'), 5, 'reason must be text, and not empty'],
    ['a field that is a list', () => change('It makes routes.', '[a]'), 5, 'reason must be text, and not empty'],
    ['a day that is none', () => change('2027-01-31', '2027-02-31'), 8, 'expires is "2027-02-31", which is no day'],
    [
      'no end',
      () => change('2027-01-31', 'never'),
      8,
      'expires is "never", which is no day',
      'nothing is accepted for ever',
    ],
    [
      'an entry twice',
      () =>
        good.replace(
          '\nhardening',
          '  - {service: web, capability: NET_ADMIN, reason: r, risk: low, owner: o, expires: 2027-01-01}\nhardening',
        ),
      9,
      'web NET_ADMIN is listed in line 3 already',
    ],
    ['an entry that is no mapping', () => 'capabilities:\n  - KILL\n', 2, 'must be a mapping'],
    ['an entry that is nothing', () => 'capabilities:\n  -\n', 2, 'must be a mapping'],
    ['a list that is none', () => 'capabilities: KILL\n', 1, 'capabilities must be a list'],
    ['a file that is a list', () => '- a\n', 1, 'must be a mapping'],
    ['a file that is no YAML', () => 'a: [\n', 2, 'not valid YAML'],
  ])('with %s is refused, with the line', (_name, text, line, message, hint = '') => {
    let error: unknown;
    try {
      parseAllowlist(text(), 'a.yaml');
    } catch (caught) {
      error = caught;
    }
    expect(error).toMatchObject({
      code: 'ALLOWLIST_INVALID',
      message: expect.stringContaining(`a.yaml:${String(line)}: ${message}`) as unknown,
      hint: expect.stringContaining(hint) as unknown,
      details: { file: 'a.yaml', line },
    });
  });
});
