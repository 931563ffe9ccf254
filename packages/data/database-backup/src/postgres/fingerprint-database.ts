import { systemSchemas } from './system-schemas.ts';
import { createHash } from 'node:crypto';
import type { Fingerprint, FingerprintItem } from '../types.ts';
import { catalogQuery } from './fingerprint-catalog.ts';
import { normalizeExpression } from './normalize-expression.ts';
import { quoteText } from './quote.ts';
import type { PsqlSession, Row } from './session.ts';

/** Where a sequence stands: `isCalled` false means that the next value is this one. */
export interface SequenceState {
  readonly lastValue: string;
  readonly isCalled: boolean;
}

export interface FingerprintDatabaseOptions {
  /** States that are known better than by asking, by schema and name with a zero between them. */
  readonly sequences?: ReadonlyMap<string, SequenceState>;
  /** Leave out the content of what is not logged. */
  readonly exceptUnlogged?: boolean;
}

/** Everything in the session's database, in the session's own snapshot where it has one. */
export async function fingerprintDatabase(
  session: PsqlSession,
  { sequences = new Map(), exceptUnlogged = false }: FingerprintDatabaseOptions = {},
): Promise<Fingerprint> {
  const catalog = await session.query(catalogQuery);
  const filter = `AND c.relpersistence ${exceptUnlogged ? "= 'p'" : "<> 't'"}`;
  return {
    schema: 'devstack/fingerprint/1',
    items: [
      ...catalog.map(toItem),
      ...(await tableItems(session, filter)),
      ...(await largeObjectItems(session)),
      ...(await sequenceItems(session, filter, sequences)),
    ],
  };
}

/** A definition as an item: one thing, with the digest of what it is. */
export function toItem(row: Row): FingerprintItem {
  const expressions = Array.isArray(row['expressions']) ? row['expressions'].map(String).map(normalizeExpression) : [];
  return {
    kind: String(row['kind']),
    name: String(row['name']),
    count: 1,
    checksum: digest(JSON.stringify([row['facts'], expressions])),
  };
}

// Columns go by name, as their order may differ after a restore. Rows of an extension come with it, but for those it says are the user's.
const tables = `SELECT format('%I.%I', n.nspname, c.relname) AS name, coalesce(x.condition, '') AS condition,
  coalesce((SELECT string_agg(format('t.%I', a.attname), ', ' ORDER BY a.attname COLLATE "C") FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '') AS columns
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (SELECT e.extcondition[array_position(e.extconfig, c.oid)] AS condition, array_position(e.extconfig, c.oid) IS NOT NULL AS is_data
  FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid WHERE d.deptype = 'e' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid) x ON true
WHERE c.relkind = 'r' AND (c.oid >= 16384 OR c.relnamespace NOT IN (${systemSchemas})) AND coalesce(x.is_data, true)`;

async function tableItems(session: PsqlSession, filter: string): Promise<FingerprintItem[]> {
  const items: FingerprintItem[] = [];
  for (const row of await session.query(`${tables} ${filter}`)) {
    const name = String(row['name']);
    const [sum] = await session.query(
      `SELECT count(*)::text AS count, coalesce(sum(hashtextextended(ROW(${String(row['columns'])})::text COLLATE "C", 0)), 0)::text AS checksum FROM ONLY ${name} t ${String(row['condition'])}`,
    );
    items.push({ kind: 'table', name, count: Number(sum?.['count']), checksum: String(sum?.['checksum']) });
  }
  return items;
}

// Holes are zeros: a restored object has them written out. Its length is that of its last page.
const largeObjects = `SELECT
  (SELECT count(*) FROM pg_largeobject_metadata)::text AS count,
  (SELECT coalesce(sum(hashtextextended(concat_ws(':', m.oid, pg_get_userbyid(m.lomowner), (SELECT string_agg(concat_ws('/', CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable), ',' ORDER BY a.grantee::regrole::text, a.privilege_type) FROM aclexplode(coalesce(m.lomacl, acldefault('L', m.lomowner))) a)), 0)), 0) FROM pg_largeobject_metadata m)::text AS owners,
  (SELECT coalesce(sum(hashtextextended(concat_ws(':', loid, pageno, encode(rtrim(data, '\\x00'::bytea), 'hex')), 0)), 0) FROM pg_largeobject WHERE length(rtrim(data, '\\x00'::bytea)) > 0)::text AS pages,
  (SELECT coalesce(sum(hashtextextended(concat_ws(':', loid, length), 0)), 0) FROM (SELECT DISTINCT ON (loid) loid, pageno::bigint * 2048 + length(data) AS length FROM pg_largeobject ORDER BY loid, pageno DESC) l)::text AS lengths`;

async function largeObjectItems(session: PsqlSession): Promise<FingerprintItem[]> {
  const [row] = await session.query(largeObjects);
  const count = Number(row?.['count']);
  if (count === 0) return [];
  return [{ kind: 'large objects', name: 'all', count, checksum: digest(JSON.stringify(row)) }];
}

const sequenceNames = `SELECT format('%I.%I', n.nspname, c.relname) AS name, n.nspname AS schema, c.relname AS tag FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND (c.oid >= 16384 OR c.relnamespace NOT IN (${systemSchemas}))`;

async function sequenceItems(
  session: PsqlSession,
  filter: string,
  known: ReadonlyMap<string, SequenceState>,
): Promise<FingerprintItem[]> {
  const items: FingerprintItem[] = [];
  const unknown: string[] = [];
  for (const row of await session.query(`${sequenceNames} ${filter}`)) {
    const state = known.get(`${String(row['schema'])}\0${String(row['tag'])}`);
    if (state === undefined) unknown.push(String(row['name']));
    else items.push(sequenceItem(String(row['name']), state));
  }
  for (let at = 0; at < unknown.length; at += 100) {
    const parts = unknown
      .slice(at, at + 100)
      .map((name) => `SELECT ${quoteText(name)} AS name, last_value::text AS last_value, is_called FROM ${name}`);
    for (const row of await session.query(parts.join(' UNION ALL ')))
      items.push(
        sequenceItem(String(row['name']), {
          lastValue: String(row['last_value']),
          isCalled: row['is_called'] === true,
        }),
      );
  }
  return items;
}

// The count is for people; the checksum is exact.
function sequenceItem(name: string, { lastValue, isCalled }: SequenceState): FingerprintItem {
  return { kind: 'sequence', name, count: Number(lastValue), checksum: `${lastValue}${isCalled ? '' : ' (next)'}` };
}

export function digest(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}
