import { describe, expect, test } from 'vitest';
import { wrap } from '../test/fake-container.ts';
import { nameField, parseClients, secretField } from './secret-fields.ts';

const context = { role: 'postgres', secrets: wrap({ username: 'devstack', password: '', odd: 'a b' }) };

describe('fields of a secret', () => {
  test('a field that is there is given, still hidden', () => {
    expect(String(secretField(context, 'username'))).toBe('[secret]');
    expect(nameField(context, 'username')).toBe('devstack');
  });

  test.each(['password', 'absent'])('%s (empty or absent) is named, with what adds it', (field) => {
    expect(() => secretField(context, field)).toThrow(
      expect.objectContaining({ code: 'SECRET_FIELD_MISSING', details: { role: 'postgres', field } }),
    );
  });

  test('a name that could break out of a file is refused', () => {
    expect(() => nameField(context, 'odd')).toThrow(/not a usable name/);
  });
});

describe('clients', () => {
  test('are sorted by name and keep their verifier hidden', () => {
    const clients = parseClients(
      'postgres',
      wrap({
        b: '{"verifier":"v","role":"b","grants":"monitor"}',
        a: '{"password":"p","role":"a","grants":"application"}',
      }),
    );
    expect(clients.map((client) => client.username)).toEqual(['a', 'b']);
    expect(clients[1]?.verifier?.reveal()).toBe('v');
    expect(JSON.stringify(clients)).not.toContain('"v"');
  });

  test.each([
    ['a', 'not json'],
    ['a', '[]x'],
    ['a', 'null'],
    ['a', '{"verifier":"hunter22"}'],
    ['a', '{"role":"a","grants":"monitor"}'],
    ['a b', '{"verifier":"hunter22","role":"a","grants":"monitor"}'],
  ])('entry %j = %s is refused without its value', (name, text) => {
    expect(() => parseClients('postgres', wrap({ [name]: text }))).toThrow(
      expect.objectContaining({ code: 'CLIENT_INVALID' }),
    );
    expect(() => parseClients('postgres', wrap({ [name]: text }))).not.toThrow(/hunter22/);
  });
});
