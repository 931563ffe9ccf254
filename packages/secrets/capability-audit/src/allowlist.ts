import { suggestion } from '@devstack-core/compose-project';
import { DevstackError } from '@devstack-core/errors';
import { LineCounter, isMap, isScalar, isSeq, parseDocument, type Document } from 'yaml';
import { capabilities, capabilityOf, type RiskLevel } from './capabilities.ts';
import { CapabilityAuditErrorCode } from './errors.ts';
import { hardeningRules } from './rules.ts';

/** What every entry says: for whom, why, until when, and where it is written. */
interface Entry {
  /** A compose service, or the name of a container that compose did not make. */
  readonly service: string;
  readonly reason: string;
  /** Who answers for it. */
  readonly owner: string;
  /** The last day on which it counts, `YYYY-MM-DD`. */
  readonly expires: string;
  readonly line: number;
}

/** A capability that a service may have. */
export interface AllowlistEntry extends Entry {
  /** Without `CAP_`. */
  readonly capability: string;
  /** The highest level that was accepted. */
  readonly risk: RiskLevel;
}

/** A hardening rule that a service need not keep. */
export interface HardeningException extends Entry {
  readonly rule: string;
}

/** What was accepted. */
export interface Allowlist {
  /** For locations of findings, as it was given. */
  readonly file: string;
  readonly entries: readonly AllowlistEntry[];
  readonly exceptions: readonly HardeningException[];
}

/** An allowlist with nothing in it. */
export const emptyAllowlist: Allowlist = { file: '', entries: [], exceptions: [] };

/**
 * Reads an allowlist: YAML with the lists `capabilities` ({service, capability, reason, risk, owner, expires}) and `hardening`
 * ({service, rule, reason, owner, expires}), all fields required. `file` is for messages and locations.
 * Throws ALLOWLIST_INVALID with file and line.
 */
export function parseAllowlist(text: string, file: string): Allowlist {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const place = (offset: number | undefined): Place => ({ file, line: Math.max(1, lines.linePos(offset ?? 0).line) });
  const [problem] = document.errors;
  if (problem !== undefined) refuse(place(problem.pos[0]), `not valid YAML: ${problem.message}`);
  const all = { file, entries: [] as AllowlistEntry[], exceptions: [] as HardeningException[] };
  if (document.contents === null) return all;
  const top = fieldsOf(document.contents, place, file);
  for (const [name, { value, at }] of top) {
    if (name !== 'capabilities' && name !== 'hardening')
      refuse(at, `has the unknown field ${name}`, suggestion(name, ['capabilities', 'hardening']));
    if (isScalar(value) && value.value === null) continue;
    if (!isSeq(value)) refuse(at, `${name} must be a list`);
    for (const item of value.items) {
      if (name === 'capabilities') all.entries.push(entryOf(item, place, at));
      else all.exceptions.push(exceptionOf(item, place, at));
    }
  }
  refuseTwice(all.entries, ({ service, capability }) => `${service} ${capability}`, file);
  refuseTwice(all.exceptions, ({ service, rule }) => `${service} ${rule}`, file);
  return all;
}

/** True until the end of the day (UTC) that an entry names. */
export function isInForce({ expires }: Pick<Entry, 'expires'>, now: Date): boolean {
  return now.getTime() < Date.parse(`${expires}T00:00:00Z`) + 86_400_000;
}

interface Place {
  readonly file: string;
  readonly line: number;
}
type PlaceOf = (offset: number | undefined) => Place;
interface Field {
  readonly value: unknown;
  readonly at: Place;
}

const common = ['service', 'reason', 'owner', 'expires'];
const levels: readonly string[] = ['low', 'medium', 'high', 'critical'] satisfies RiskLevel[];

function entryOf(node: unknown, place: PlaceOf, list: Place): AllowlistEntry {
  const read = reader(node, place, list, [...common, 'capability', 'risk']);
  const written = read.text('capability');
  const capability = capabilityOf(written.text);
  if (capability === undefined) {
    const names = capabilities.map(({ name }) => name);
    refuse(written.at, `${JSON.stringify(written.text)} is no capability`, suggestion(written.text, names));
  }
  const risk = read.text('risk');
  if (!isLevel(risk.text)) refuse(risk.at, `risk is ${JSON.stringify(risk.text)}`, suggestion(risk.text, levels));
  return { ...read.entry(), capability: capability.name, risk: risk.text };
}

function exceptionOf(node: unknown, place: PlaceOf, list: Place): HardeningException {
  const read = reader(node, place, list, [...common, 'rule']);
  const rule = read.text('rule');
  const known = hardeningRules.map(({ id }) => id);
  if (!known.includes(rule.text))
    refuse(rule.at, `${JSON.stringify(rule.text)} is no hardening rule`, suggestion(rule.text, known));
  return { ...read.entry(), rule: rule.text };
}

interface Reader {
  text(name: string): { readonly text: string; readonly at: Place };
  entry(): Entry;
}

function reader(node: unknown, place: PlaceOf, list: Place, known: readonly string[]): Reader {
  const fields = fieldsOf(node, place, list.file, list);
  const start = place(rangeOf(node));
  for (const [name, { at }] of fields)
    if (!known.includes(name)) refuse(at, `an entry has the unknown field ${name}`, suggestion(name, known));
  const text = (name: string): { text: string; at: Place } => {
    const field = fields.get(name);
    if (field === undefined) refuse(start, `an entry has no ${name}`, `Every entry has ${known.join(', ')}.`);
    const value: unknown = isScalar(field.value) ? (field.value.source ?? field.value.value) : undefined;
    if (typeof value !== 'string' || value.trim() === '') refuse(field.at, `${name} must be text, and not empty`);
    return { text: value.trim(), at: field.at };
  };
  return {
    text,
    entry: () => ({
      service: text('service').text,
      reason: text('reason').text,
      owner: text('owner').text,
      expires: dayOf(text('expires')),
      line: start.line,
    }),
  };
}

function dayOf({ text, at }: { readonly text: string; readonly at: Place }): string {
  const time = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  // Date.parse takes the 31st of February for a day in March.
  const isDay = Number.isFinite(time) && new Date(time).toISOString().startsWith(text);
  return isDay
    ? text
    : refuse(
        at,
        `expires is ${JSON.stringify(text)}, which is no day`,
        'Write a day as YYYY-MM-DD: nothing is accepted for ever.',
      );
}

function fieldsOf(node: unknown, place: PlaceOf, file: string, near: Place = { file, line: 1 }): Map<string, Field> {
  if (!isMap(node)) {
    const offset = rangeOf(node);
    return refuse(offset === undefined ? near : place(offset), 'must be a mapping');
  }
  return new Map(
    node.items.map(({ key, value }) => [isScalar(key) ? String(key.value) : '', { value, at: place(rangeOf(key)) }]),
  );
}

function rangeOf(node: unknown): number | undefined {
  const range = (node as Partial<Document> | null | undefined)?.range;
  return range?.[0];
}

function isLevel(text: string): text is RiskLevel {
  return levels.includes(text);
}

function refuseTwice<T extends { readonly line: number }>(
  all: readonly T[],
  keyOf: (entry: T) => string,
  file: string,
): void {
  const seen = new Map<string, number>();
  for (const entry of all) {
    const first = seen.get(keyOf(entry));
    if (first !== undefined)
      refuse({ file, line: entry.line }, `${keyOf(entry)} is listed in line ${String(first)} already`);
    seen.set(keyOf(entry), entry.line);
  }
}

function refuse(at: Place, message: string, hint?: string): never {
  throw new DevstackError({
    code: CapabilityAuditErrorCode.allowlistInvalid,
    message: `${at.file}:${String(at.line)}: ${message}.`,
    hint: hint ?? 'Correct the allowlist; its format is in the README of capability-audit.',
    details: { file: at.file, line: at.line },
  });
}
