import { describe, expect, it } from 'vitest';
import { announcedNames, nodeTarget } from './redis-node-names.ts';

const slots = [
  [0, 5460, ['172.20.2.21', 6390, 'id1', ['hostname', 'redis-1']], ['172.20.2.24', 6390, 'id4', []]],
  [5461, 10922, ['172.20.2.22', 6390, 'id2', ['shard', 'hostname', 'hostname', 'redis-2']]],
  [10923, 16383, ['172.20.2.23', 6390, 'id3', ['hostname', '']]],
];

describe('the nodes of a Redis cluster', () => {
  it('are known by the names that they announce', () => {
    expect([...announcedNames(slots)]).toEqual([
      ['172.20.2.21:6390', 'redis-1'],
      ['172.20.2.22:6390', 'redis-2'],
    ]);
    expect(announcedNames([['?', 0, ['172.20.2.21', 6390, 'id', ['hostname', '?']]]]).size).toBe(0);
    expect(announcedNames('nothing like it').size).toBe(0);
    // Redis before 7 says no more than address and id.
    expect(announcedNames([[0, 1, ['172.20.2.21', 6390, 'id']]]).size).toBe(0);
  });

  const names = announcedNames(slots);
  const natMap = { '172.20.2.22:6390': { host: '127.0.0.1', port: 6391 } };

  it.each([
    ['each by its own name', '172.20.2.21:6390', { host: '172.20.2.21', port: 6390 }, 'redis-1'],
    ['also where it is reached elsewhere', '172.20.2.22:6390', { host: '127.0.0.1', port: 6391 }, 'redis-2'],
    ['by its address where it has no name', '172.20.2.23:6390', { host: '172.20.2.23', port: 6390 }, undefined],
    ['by the name that it is called by', 'redis-3:6390', { host: 'redis-3', port: 6390 }, 'redis-3'],
    ['by its address where that is IPv6', 'fd00::5:6390', { host: 'fd00::5', port: 6390 }, undefined],
  ])('are verified %s', (_how, address, where, servername) => {
    const target = nodeTarget(address, { names, natMap, tls: { ca: 'pem', servername: 'the first node' } });
    expect(target).toMatchObject(where);
    expect(target.tls).toMatchObject({ ca: 'pem', rejectUnauthorized: true });
    expect(target.tls?.servername).toBe(servername);
  });
});
