import { describe, expect, test } from 'vitest';
import { egressTargetsOf } from './egress.ts';

describe('addresses outside', () => {
  test.each([
    ['9.9.9.9:53', [{ host: '9.9.9.9', port: 53 }]],
    [
      'example.org:443, [2620:fe::fe]:53',
      [
        { host: 'example.org', port: 443 },
        { host: '2620:fe::fe', port: 53 },
      ],
    ],
  ])('%s', (egress, expected) => {
    expect(egressTargetsOf({ egress })).toEqual(expected);
  });

  test.each([
    '',
    ',',
    'host',
    'host:',
    ':53',
    'host:0',
    'host:65536',
    'host:1e3',
    '2620:fe::fe:53',
    'a b:53',
    'a:1,,b:2',
  ])('%j is a usage error', (egress) => {
    expect(() => egressTargetsOf({ egress })).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });

  test('without any, the name servers of this machine: none of them a stub on loopback', () => {
    for (const { host, port } of egressTargetsOf({})) {
      expect(host).not.toMatch(/^127\.|^::1$/);
      expect(port).toBe(53);
    }
  });
});
