import { describe, expect, it } from 'vitest';
import { momentOf, momentText } from './moment.ts';

describe('the moment of a restore', () => {
  it.each([
    ['2026-11-21T10:30:00Z', '2026-11-21T10:30:00.000Z'],
    ['2026-11-21 10:30:00.25+02:00', '2026-11-21T08:30:00.250Z'],
    ['2026-11-21T10:30', new Date(2026, 10, 21, 10, 30).toISOString()],
  ])('%s is %s', (text, utc) => {
    const moment = momentOf({ 'to-time': text });
    expect(moment).toEqual({ time: new Date(utc) });
    expect(momentText(moment)).toBe(` as it was at ${utc}`);
  });

  it.each(['yesterday', '2026-11-21', '2026-13-21T10:30:00Z', '21.11.2026 10:30', ''])('%j is none', (text) => {
    expect(() => momentOf({ 'to-time': text })).toThrow('--to-time is');
  });

  it('is a named point, or the end of the set', () => {
    expect(momentOf({ 'to-point': 'before it' })).toEqual({ name: 'before it' });
    expect(momentText({ name: 'x' })).toBe(' as it was at the point "x"');
    expect(momentOf({})).toBeUndefined();
    expect(momentText(undefined)).toBe('');
    expect(() => momentOf({ 'to-point': '' })).toThrow('names nothing');
    expect(() => momentOf({ 'to-point': 'x', 'to-time': 'y' })).toThrow('exclude each other');
  });
});
