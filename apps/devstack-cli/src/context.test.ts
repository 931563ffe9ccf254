import { describe, expect, test } from 'vitest';
import { configHomeOf } from './context.ts';

describe('the folder for keys and settings', () => {
  test.each([
    ['/home/user', {}, '/home/user/.config/devstack'],
    ['/home/user', { XDG_CONFIG_HOME: '/xdg' }, '/xdg/devstack'],
    ['/home/user', { XDG_CONFIG_HOME: 'relative' }, '/home/user/.config/devstack'],
    ['/home/user', { XDG_CONFIG_HOME: '' }, '/home/user/.config/devstack'],
    ['', { DEVSTACK_CONFIG_HOME: '/keys' }, '/keys'],
  ])('at home in %j with %j it is %s', (home, env, expected) => {
    expect(configHomeOf(env, home)).toBe(expected);
  });

  test.each([
    ['', {}],
    ['/home/user', { DEVSTACK_CONFIG_HOME: 'here' }],
    ['/home/user', { DEVSTACK_CONFIG_HOME: '' }],
  ])('at home in %j with %j there is none: it would be in the folder of the call', (home, env) => {
    expect(() => configHomeOf(env, home)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});
