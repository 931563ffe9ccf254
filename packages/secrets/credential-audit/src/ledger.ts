import { createHmac } from 'node:crypto';
import { findingId, type Finding, type FindingLocation, type NotChecked } from '@devstack-core/audit-report';
import { BlockStream } from './block-stream.ts';
import { ignoredBy, type IgnoreEntry, type IgnoredFinding } from './ignore.ts';
import { PatternSearch, patternReach, type PatternHit } from './pattern-search.ts';
import type { PatternRule } from './patterns.ts';
import { NeedleSearcher, type NeedleHit, type NeedleStream } from './searcher.ts';
import type { ExpandedNeedle } from './needles.ts';
import { surfaceRules, type Surface } from './surfaces.ts';

/** Where a text was read. */
export interface Place {
  readonly surface: Surface;
  /** The container, image, volume or file. */
  readonly subject: string;
  /** Where in it, for a person, e.g. `Config.Env[3] (PGPASSWORD)`. */
  readonly at: string;
  /** The same without what changes from run to run, such as a process id. */
  readonly key?: string;
  readonly location?: FindingLocation | undefined;
  /** The line at an offset, for a text that has lines. */
  readonly lineAt?: (offset: number) => number;
}

export interface LedgerOptions {
  readonly needles: readonly ExpandedNeedle[];
  readonly patterns: readonly PatternRule[];
  readonly ignore: readonly IgnoreEntry[];
  readonly fingerprintKey: string;
}

/** Searches texts and keeps what was found where, what was looked at, and what could not be. It never keeps a value. */
export class Ledger {
  readonly searcher: NeedleSearcher;
  readonly notChecked: NotChecked[] = [];
  readonly skipped: NotChecked[] = [];
  readonly ignored: IgnoredFinding[] = [];
  readonly #patterns: PatternSearch;
  readonly #options: LedgerOptions;
  readonly #needleFindings = new Map<string, NeedleFinding>();
  readonly #patternFindings = new Map<string, PatternFinding>();
  readonly #others: Finding[] = [];
  readonly #checked = new Map<Surface, Set<string>>();
  #bytes = 0;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.searcher = new NeedleSearcher(options.needles);
    this.#patterns = new PatternSearch(options.patterns);
  }

  /** How much was searched, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  get checkedCount(): number {
    return [...this.#checked.values()].reduce((total, subjects) => total + subjects.size, 0);
  }

  /** How many subjects of each surface were read. */
  get coverage(): readonly { readonly surface: Surface; readonly checked: number }[] {
    return [...this.#checked].map(([surface, subjects]) => ({ surface, checked: subjects.size }));
  }

  /** Searches a text. */
  text(place: Place, text: string | Uint8Array): void {
    const bytes = typeof text === 'string' ? Buffer.from(text, 'utf8') : text;
    this.#bytes += bytes.length;
    for (const hit of this.searcher.search(bytes)) this.#needle(place, hit);
    for (const hit of this.#patterns.search(bytes)) this.#pattern(place, hit);
  }

  /** The same for a text that arrives in pieces, in bounded memory. */
  stream(place: Place): NeedleStream {
    const { matcher } = this.searcher;
    const stream = new BlockStream({
      matchers: [
        {
          matcher,
          onHit: ({ pattern, offset }) => {
            this.#needle(place, this.searcher.hit(pattern, offset));
          },
        },
        {
          matcher: this.#patterns.matcher,
          onHit: (hit) => {
            for (const found of this.#patterns.hits(hit)) this.#pattern(place, found);
          },
        },
      ],
      lookahead: Math.max(matcher.longest, patternReach.ahead),
      lookbehind: patternReach.behind,
    });
    return {
      write: (chunk) => {
        this.#bytes += chunk.length;
        stream.write(chunk);
      },
      end: () => stream.end(),
    };
  }

  /** A finding that no search made. */
  add(finding: Finding): void {
    this.#others.push(finding);
  }

  checked(surface: Surface, subject: string): void {
    const subjects = this.#checked.get(surface);
    if (subjects === undefined) this.#checked.set(surface, new Set([subject]));
    else subjects.add(subject);
  }

  /** Everything found, as findings without a value in them. */
  findings(): readonly Finding[] {
    const found = [
      ...[...this.#needleFindings.values()].map((entry) => ({
        finding: this.#needleFinding(entry),
        place: entry.place,
      })),
      ...[...this.#patternFindings.values()].map((entry) => ({ finding: patternFinding(entry), place: entry.place })),
      ...this.#others.map((finding) => ({ finding, place: undefined })),
    ];
    this.ignored.length = 0;
    const kept: Finding[] = [];
    for (const { finding, place } of found) {
      const entry = ignoredBy(this.#options.ignore, finding, place);
      const masked = this.#masked(finding);
      if (entry === undefined) kept.push(masked);
      else this.ignored.push({ id: masked.id, ruleId: masked.ruleId, subject: masked.subject, reason: entry.reason });
    }
    return kept;
  }

  /** A text with every needle in it, in any encoding, replaced: names and places can hold a secret, too. */
  mask(text: string): string {
    const bytes = Buffer.from(text, 'utf8');
    const hits = this.searcher.search(bytes);
    if (hits.length === 0) return text;
    const parts: Buffer[] = [];
    let done = 0;
    for (const { offset, lengthBytes } of hits) {
      if (offset >= done) parts.push(bytes.subarray(done, offset), Buffer.from('[secret]'));
      done = Math.max(done, offset + lengthBytes);
    }
    return Buffer.concat([...parts, bytes.subarray(done)]).toString('utf8');
  }

  #needle(place: Place, hit: NeedleHit): void {
    for (const needle of hit.needles) {
      const key = JSON.stringify([place.surface, place.subject, place.key ?? place.at, needle.label, needle.field]);
      const known = this.#needleFindings.get(key);
      if (known === undefined) {
        const { offset } = hit;
        this.#needleFindings.set(key, {
          location: locationAt(place, offset),
          ...{ place, needle, offset, count: 1 },
          encodings: new Set([needle.encoding]),
          versions: new Set(needle.version === undefined ? [] : [needle.version]),
        });
        continue;
      }
      known.count += 1;
      known.offset = Math.min(known.offset, hit.offset);
      known.encodings.add(needle.encoding);
      if (needle.version !== undefined) known.versions.add(needle.version);
    }
  }

  #pattern(place: Place, { rule, offset, text }: PatternHit): void {
    // A value that is known is a finding already.
    if (this.searcher.search(Buffer.from(text, 'latin1')).length > 0) return;
    const key = JSON.stringify([rule.ruleId, place.surface, place.subject, place.key ?? place.at]);
    const known = this.#patternFindings.get(key);
    if (known === undefined) {
      const location = locationAt(place, offset);
      this.#patternFindings.set(key, { place, location, rule, offset, count: 1, last: offset });
    } else if (offset !== known.last && offset !== known.offset) {
      known.count += 1;
      known.last = offset;
      known.offset = Math.min(known.offset, offset);
    }
  }

  #needleFinding({ place, location, needle, offset, count, encodings, versions }: NeedleFinding): Finding {
    const rule = surfaceRules[place.surface];
    const field = needle.field === undefined ? '' : ` ${needle.field}`;
    const version = versions.size === 0 ? '' : ` (version ${[...versions].toSorted((a, b) => a - b).join(', ')})`;
    const times = count === 1 ? '' : `, ${String(count)} times in all`;
    return {
      id: findingId(rule.ruleId, place.subject, place.key ?? place.at, needle.label, needle.field ?? ''),
      ruleId: rule.ruleId,
      severity: rule.severity,
      title: rule.title,
      message: `The value of ${needle.label}${field}${version} is in ${rule.where}: ${place.at}, at byte ${String(offset)} (${[...encodings].toSorted().join(', ')})${times}; fingerprint ${this.#fingerprint(needle)}.`,
      ...(location === undefined ? {} : { location }),
      subject: place.subject,
      remediation: rule.remediation,
    };
  }

  #fingerprint({ value }: ExpandedNeedle): string {
    return createHmac('sha256', this.#options.fingerprintKey).update(value.reveal()).digest('hex').slice(0, 16);
  }

  #masked(finding: Finding): Finding {
    const { id, message, subject, location } = finding;
    const safe = { ...finding, id: this.mask(id), message: this.mask(message), subject: this.mask(subject) };
    return location === undefined ? safe : { ...safe, location: { ...location, file: this.mask(location.file) } };
  }
}

interface NeedleFinding {
  readonly place: Place;
  readonly location: FindingLocation | undefined;
  readonly needle: ExpandedNeedle;
  readonly encodings: Set<string>;
  readonly versions: Set<number>;
  offset: number;
  count: number;
}

interface PatternFinding {
  readonly place: Place;
  readonly location: FindingLocation | undefined;
  readonly rule: PatternRule;
  offset: number;
  count: number;
  last: number;
}

function locationAt({ location, lineAt }: Place, offset: number): FindingLocation | undefined {
  return location === undefined || lineAt === undefined ? location : { ...location, line: lineAt(offset) };
}

function patternFinding({ place, location, rule, offset, count }: PatternFinding): Finding {
  const times = count === 1 ? '' : `, ${String(count)} times in all`;
  return {
    id: findingId(rule.ruleId, place.subject, place.surface, place.key ?? place.at),
    ruleId: rule.ruleId,
    severity: rule.severity,
    title: rule.title,
    message: `${rule.message} is in ${surfaceRules[place.surface].where}: ${place.at}, at byte ${String(offset)}${times}.`,
    ...(location === undefined ? {} : { location }),
    subject: place.subject,
    remediation: rule.remediation,
  };
}
