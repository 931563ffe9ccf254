import { describe, expect, it } from 'vitest';
import { nearest } from './did-you-mean.ts';
import { mergeCompose } from './merge.ts';
import { durationMs, sizeBytes } from './values.ts';

describe('values as Docker writes them', () => {
  it.each([
    ['10s', 10_000],
    ['1m30s', 90_000],
    ['500ms', 500],
    ['1.5h', 5_400_000],
    ['250us', 0.25],
    ['0', 0],
    ['10', undefined],
    ['soon', undefined],
  ])('the duration %s', (text, expected) => {
    expect(durationMs(text)).toBe(expected);
  });

  it.each([
    ['1024', 1024],
    ['512m', 536_870_912],
    ['1.5g', 1_610_612_736],
    ['64MiB', 67_108_864],
    ['1KB', 1024],
    ['-1', undefined],
    ['lots', undefined],
  ])('the size %s', (text, expected) => {
    expect(sizeBytes(text)).toBe(expected);
  });
});

describe('the nearest name', () => {
  it.each([
    ['redis', ['redis-1', 'postgres'], 'redis-1'],
    ['psotgres', ['postgres', 'pgbouncer'], 'postgres'],
    ['xyz', ['postgres'], undefined],
    ['a', [], undefined],
  ])('to %s', (name, candidates, expected) => {
    expect(nearest(name, candidates)).toBe(expected);
  });
});

describe('merging', () => {
  it.each([
    [{ a: 1 }, null, { a: 1 }],
    [null, [1], [1]],
    [
      [1, 2],
      [2, 3],
      [1, 2, 3],
    ],
    [{ a: [1] }, { a: 'x' }, { a: 'x' }],
    [{ networks: ['a'] }, { networks: { b: { x: 1 } } }, { networks: { a: {}, b: { x: 1 } } }],
    [{ environment: 'odd' }, { environment: ['A=1', 'B'] }, { environment: { A: '1', B: null } }],
  ])('%j under %j', (under, over, expected) => {
    expect(mergeCompose(under, over)).toEqual(expected);
  });
});
