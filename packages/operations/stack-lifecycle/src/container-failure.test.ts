import { describe, expect, test } from 'vitest';
import { hasFailed } from './container-failure.ts';

describe('a container that ended with an error by itself', () => {
  test.each([
    ['exited', 'Exited (1) 5 seconds ago', true],
    ['exited', 'Exited (2) 2 hours ago', true],
    ['restarting', 'Restarting (1) 3 seconds ago', true],
    ['exited', 'Exited (0) 5 seconds ago', false],
    ['exited', 'Exited (137) 5 seconds ago', false],
    ['exited', 'Exited (143) 5 seconds ago', false],
    ['running', 'Up 3 minutes (unhealthy)', false],
    ['created', 'Created', false],
  ])('%s, %s: %s', (state, status, expected) => {
    expect(hasFailed({ state, status })).toBe(expected);
  });
});
