import { describe, expect, test } from 'vitest';
import { parseOwnSlots, slotRanges, targetShares } from './redis-cluster.ts';

describe('the shares of a Redis cluster', () => {
  test.each([1, 2, 3, 5, 7])('of %i nodes sum up to all slots and differ by one at most', (nodes) => {
    const shares = targetShares(nodes);
    expect(shares.reduce((sum, share) => sum + share, 0)).toBe(16_384);
    expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
  });

  test('are written as ranges', () => {
    expect(slotRanges([0, 1, 2, 7, 9, 10])).toEqual([[0, 2], [7, 7], [9, 10]]);
    expect(slotRanges([])).toEqual([]);
  });
});

describe("a node's own line", () => {
  const peer = 'b'.repeat(40);
  const nodes = [
    `${peer} 172.20.2.22:6379@16379 master - 0 1 2 connected 6-8`,
    `${'a'.repeat(40)} 172.20.2.21:6379@16379,redis-1 myself,master - 0 0 1 connected 0-3 5 [93->-${peer}] [77-<-${peer}]`,
  ].join('\n');

  test('gives its slots and the ones that are being moved', () => {
    expect(parseOwnSlots(nodes)).toEqual({
      id: 'a'.repeat(40),
      slots: [0, 1, 2, 3, 5],
      open: [
        { slot: 93, peer, importing: false },
        { slot: 77, peer, importing: true },
      ],
    });
  });

  test('of a new node has none', () => {
    expect(parseOwnSlots(`${peer} :6379@16379 myself,master - 0 0 0 connected`).slots).toEqual([]);
  });
});
