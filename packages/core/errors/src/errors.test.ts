import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { DevstackError, ExitCode, abortReason, exitCodeFor, interrupted, isDevstackError } from './index.ts';

const copyOfThis: string = './devstack-error.ts?copy';
const error = new DevstackError({
  code: 'PORT_IN_USE',
  message: 'Port 5432 is taken.',
  hint: 'Stop the other server.',
  cause: new Error('postgres://user:password@host'),
  details: { port: 5432 },
});

describe('a DevstackError', () => {
  it('carries code, message, hint, details and cause', () => {
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: 'DevstackError',
      code: 'PORT_IN_USE',
      hint: 'Stop the other server.',
      details: { port: 5432 },
    });
    expect(error.cause).toBeInstanceOf(Error);
  });

  it('has neither hint nor cause when none is given', () => {
    const plain = new DevstackError({ code: 'X', message: 'x' });
    expect(plain.hint).toBeUndefined();
    expect('cause' in plain).toBe(false);
    expect(plain.details).toEqual({});
  });

  it('leaves cause and stack out of its JSON, where foreign text may hold a secret', () => {
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      code: 'PORT_IN_USE',
      message: 'Port 5432 is taken.',
      hint: 'Stop the other server.',
      details: { port: 5432 },
    });
    expect(JSON.stringify(new DevstackError({ code: 'X', message: 'x' }))).toContain('"hint":null');
  });

  it('is shown by its name', () => {
    expect(inspect(error)).toMatch(/^DevstackError: Port 5432 is taken\./);
    expect(Object.keys(error)).toEqual(['code', 'hint', 'details']);
  });
});

describe('recognising a DevstackError', () => {
  it('works across copies of the package', async () => {
    const copy = (await import(copyOfThis)) as typeof import('./index.ts');
    const foreign = new copy.DevstackError({ code: 'OTHER', message: 'other' });
    expect(isDevstackError(foreign)).toBe(true);
    expect(isDevstackError(foreign, 'OTHER')).toBe(true);
    expect(isDevstackError(foreign, 'PORT_IN_USE')).toBe(false);
  });

  it.each([undefined, null, 'PORT_IN_USE', new Error('x'), { code: 'PORT_IN_USE' }])('is not fooled by %s', (value) => {
    expect(isDevstackError(value)).toBe(false);
  });
});

describe('the exit code', () => {
  it.each([
    ['a foreign error', new Error('x'), ExitCode.failed],
    ['an ordinary one', error, ExitCode.failed],
    ['wrong usage', new DevstackError({ code: 'USAGE', message: 'x' }), ExitCode.usage],
    [
      'bad input found deep down',
      new DevstackError({ code: 'UNKNOWN_SERVICE', message: 'x', details: { usage: true } }),
      ExitCode.usage,
    ],
    ['an interruption', interrupted('devstack up'), ExitCode.interrupted],
  ])('of %s', (_, thrown, expected) => {
    expect(exitCodeFor(thrown)).toBe(expected);
  });
});

describe('an aborted signal', () => {
  it('gives its own reason where that is a DevstackError', () => {
    expect(abortReason(AbortSignal.abort(error), 'Waiting')).toBe(error);
  });

  it('otherwise says what was interrupted', () => {
    expect(abortReason(AbortSignal.abort(), 'Waiting')).toMatchObject({
      code: 'INTERRUPTED',
      message: 'Waiting was interrupted.',
    });
  });

  it('gives nothing while it is not aborted', () => {
    expect(abortReason(undefined, 'Waiting')).toBeUndefined();
    expect(abortReason(new AbortController().signal, 'Waiting')).toBeUndefined();
  });
});
