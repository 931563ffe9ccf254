import { describe, expect, test } from 'vitest';
import { areEpochsSettled, parseClusterNodes, planMoves, slotRanges, targetShares } from './redis-slots.ts';

describe('the shares of a Redis cluster', () => {
  test.each([1, 2, 3, 5, 7])('of %i nodes sum up to all slots and differ by one at most', (nodes) => {
    const shares = targetShares(nodes);
    expect(shares.reduce((sum, share) => sum + share, 0)).toBe(16_384);
    expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
  });

  test('are written as ranges', () => {
    expect(slotRanges([0, 1, 2, 7, 9, 10])).toEqual([
      [0, 2],
      [7, 7],
      [9, 10],
    ]);
    expect(slotRanges([])).toEqual([]);
  });
});

describe('the epochs of a Redis cluster', () => {
  const view = (...epochs: readonly number[]) =>
    parseClusterNodes(
      epochs
        .map((epoch, n) => `${String(n).repeat(40)} 10.0.0.${String(n)}:6379@1 master - 0 0 ${String(epoch)} connected`)
        .join('\n'),
    );

  test('are settled when all nodes say the same, and no two have the same', () => {
    expect(areEpochsSettled([view(1, 2, 0), view(1, 2, 0).toReversed()])).toBe(true);
    expect(areEpochsSettled([view(1, 2, 2), view(1, 2, 2)])).toBe(false);
    expect(areEpochsSettled([view(1, 2, 3), view(1, 2, 0)])).toBe(false);
    expect(areEpochsSettled([view(1)])).toBe(true);
  });
});

describe('the reply of CLUSTER NODES', () => {
  const mine = 'a'.repeat(40);
  const peer = 'b'.repeat(40);
  const text = [
    `${peer} 172.20.2.22:6379@16379 master - 0 1 2 connected 6-8`,
    `${mine} 172.20.2.21:6379@16379,redis-1 myself,master - 0 0 1 connected 0-3 5 [93->-${peer}] [77-<-${peer}]`,
    `${'c'.repeat(40)} 172.20.2.23:6379@16379 handshake - 0 0 0 connected`,
    `${'d'.repeat(40)} :0@0 master,noaddr - 0 0 0 disconnected`,
    '',
  ].join('\n');

  test('gives every node with its slots, and on the own line those that are being moved', () => {
    const shared = { open: [], isMyself: false, epoch: 0 };
    expect(parseClusterNodes(text)).toEqual([
      { ...shared, id: peer, address: '172.20.2.22', isSettled: true, epoch: 2, slots: [6, 7, 8] },
      {
        id: mine,
        address: '172.20.2.21',
        epoch: 1,
        isMyself: true,
        isSettled: true,
        slots: [0, 1, 2, 3, 5],
        open: [
          { slot: 93, peer, importing: false },
          { slot: 77, peer, importing: true },
        ],
      },
      { ...shared, id: 'c'.repeat(40), address: '172.20.2.23', isSettled: false, slots: [] },
      { ...shared, id: 'd'.repeat(40), address: '', isSettled: false, slots: [] },
    ]);
  });

  test('of a new node has none', () => {
    expect(parseClusterNodes(`${peer} :6379@16379 myself,master - 0 0 0 connected`)).toMatchObject([
      { slots: [], address: '' },
    ]);
  });
});

describe('the moves to an even spread', () => {
  const all = Array.from({ length: 16_384 }, (_, slot) => slot);
  const sizes = (owned: readonly (readonly number[])[], finish = false): readonly number[] => {
    const result = owned.map((slots) => slots.length);
    for (const { from, to, slots } of planMoves(owned, finish)) {
      result[from] = (result[from] ?? 0) - slots.length;
      result[to] = (result[to] ?? 0) + slots.length;
    }
    return result;
  };

  test('fill nodes without slots', () => {
    expect(sizes([all, [], []])).toEqual(targetShares(3));
    expect(sizes([all.slice(0, 8192), all.slice(8192), []])).toEqual(targetShares(3));
  });

  test('leave an uneven but complete cluster alone', () => {
    expect(planMoves([all.slice(0, 16_000), all.slice(16_000)], false)).toEqual([]);
  });

  test('finish a growth that was cut off', () => {
    expect(sizes([all.slice(2048), all.slice(0, 2048), []], true)).toEqual(targetShares(3));
    expect(planMoves([all.slice(2048), all.slice(0, 2048), []], false).every((move) => move.to === 2)).toBe(true);
  });
});
