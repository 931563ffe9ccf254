import { systemSchemas } from './system-schemas.ts';

/** What an object is, in facts that a dump and its restore leave alone; expressions apart, as they are compared in a normal form. */
const member = (catalog: string, oid: string): string =>
  `EXISTS (SELECT FROM pg_depend x WHERE x.deptype = 'e' AND x.classid = '${catalog}'::regclass AND x.objid = ${oid})`;

const schemaOf: Readonly<Record<string, string>> = {
  pg_class: 'relnamespace',
  pg_proc: 'pronamespace',
  pg_type: 'typnamespace',
  pg_statistic_ext: 'stxnamespace',
  pg_namespace: 'oid',
};

// What was made in single-user mode has a number below those of users, as the server's own objects do: its schema tells.
const isOurs = (catalog: string, oid: string): string => {
  const column = schemaOf[catalog];
  return column === undefined
    ? `${oid} >= 16384`
    : `(${oid} >= 16384 OR (SELECT ${column} FROM ${catalog} WHERE oid = ${oid}) NOT IN (${systemSchemas}))`;
};

const mine = (catalog: string, oid: string): string => `${isOurs(catalog, oid)} AND NOT ${member(catalog, oid)}`;

// Privileges that were never granted are those of the default, written or not.
const acl = (column: string, type: string, owner: string): string =>
  aclOf(`coalesce(${column}, acldefault('${type}', ${owner}))`);

const aclOf = (items: string): string =>
  `(SELECT jsonb_agg(item ORDER BY item) FROM (SELECT jsonb_build_array(${role('a.grantee')}, a.privilege_type, a.is_grantable, ${role('a.grantor')}) AS item FROM aclexplode(${items}) a) i)`;

const role = (oid: string): string => `CASE ${oid} WHEN 0 THEN '' ELSE pg_get_userbyid(${oid}) END`;

const owner = (oid: string): string => `pg_get_userbyid(${oid})`;

const sorted = (array: string): string => `(SELECT jsonb_agg(o ORDER BY o) FROM unnest(${array}) o)`;

// A child's own columns come before those that its parent got later; after a restore they do not.
const columns = `(SELECT jsonb_agg(jsonb_build_object(
    'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'notNull', a.attnotnull, 'identity', a.attidentity,
    'generated', a.attgenerated, 'storage', nullif(a.attstorage, t.typstorage), 'compression', a.attcompression,
    'collation', CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
    'statistics', coalesce(a.attstattarget, -1), 'options', ${sorted('a.attoptions')}, 'fdw', ${sorted('a.attfdwoptions')},
    'acl', ${aclOf('a.attacl')}
  ) ORDER BY CASE WHEN EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = c.oid) THEN 0 ELSE a.attnum END, a.attname)
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)`;

const relationName = `format('%I.%I', n.nspname, c.relname)`;

// Each gives kind, name, facts (jsonb) and expressions (jsonb array of text).
const relations = `SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'c' THEN 'type' WHEN 'f' THEN 'foreign table' ELSE 'structure' END AS kind,
  ${relationName} AS name,
  jsonb_build_object('kind', c.relkind, 'persistence', c.relpersistence, 'owner', ${owner('c.relowner')}, 'acl', ${acl('c.relacl', 'r', 'c.relowner')},
    'options', ${sorted('c.reloptions')}, 'toast', (SELECT ${sorted('s.reloptions')} FROM pg_class s WHERE s.oid = c.reltoastrelid),
    'replicaIdentity', c.relreplident, 'rowSecurity', jsonb_build_array(c.relrowsecurity, c.relforcerowsecurity), 'isPopulated', c.relispopulated,
    'of', CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END, 'method', (SELECT amname FROM pg_am WHERE pg_am.oid = c.relam),
    'partitionKey', pg_get_partkeydef(c.oid), 'bound', pg_get_expr(c.relpartbound, c.oid),
    'parents', (SELECT jsonb_agg(i.inhparent::regclass::text ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = c.oid),
    'server', (SELECT jsonb_build_array(s.srvname, ${sorted('f.ftoptions')}) FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid),
    'columns', ${columns}) AS facts,
  coalesce((SELECT jsonb_agg(a.attname || ' ' || pg_get_expr(d.adbin, d.adrelid) ORDER BY a.attname) FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE d.adrelid = c.oid), '[]')
    || CASE WHEN c.relkind IN ('v', 'm') THEN jsonb_build_array(pg_get_viewdef(c.oid)) ELSE '[]' END AS expressions
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND c.relpersistence <> 't' AND ${mine('pg_class', 'c.oid')}`;

const sequences = `SELECT 'sequence definition', ${relationName},
  jsonb_build_object('owner', ${owner('c.relowner')}, 'acl', ${acl('c.relacl', 's', 'c.relowner')}, 'persistence', c.relpersistence, 'type', format_type(s.seqtypid, NULL),
    'range', jsonb_build_array(s.seqstart::text, s.seqincrement::text, s.seqmin::text, s.seqmax::text, s.seqcache::text, s.seqcycle),
    'ownedBy', (SELECT pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid) FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0)),
  '[]'::jsonb
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_sequence s ON s.seqrelid = c.oid WHERE c.relpersistence <> 't' AND ${mine('pg_class', 'c.oid')}`;

// pg_dump leaves out an index that is not valid.
const indexes = `SELECT 'index', ${relationName},
  jsonb_build_object('table', i.indrelid::regclass::text, 'isClustered', i.indisclustered, 'isReplicaIdentity', i.indisreplident, 'isPrimary', i.indisprimary,
    'parent', (SELECT h.inhparent::regclass::text FROM pg_inherits h WHERE h.inhrelid = c.oid)),
  jsonb_build_array(pg_get_indexdef(c.oid))
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class r ON r.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.indisvalid AND r.relkind IN ('r', 'p', 'm') AND r.relpersistence <> 't' AND ${mine('pg_class', 'i.indrelid')}`;

// The foreign keys of partitions come with that of their parent, under names that the server finds anew.
const constraints = `SELECT 'constraint', CASE WHEN k.conrelid <> 0 THEN k.conrelid::regclass::text ELSE format_type(k.contypid, NULL) END || ' ' || quote_ident(k.conname),
  jsonb_build_object('type', k.contype, 'isValidated', k.convalidated, 'isLocal', k.conislocal), jsonb_build_array(pg_get_constraintdef(k.oid))
FROM pg_constraint k LEFT JOIN pg_class r ON r.oid = k.conrelid
WHERE (k.contype <> 'f' OR k.conparentid = 0) AND coalesce(r.relpersistence, 'p') <> 't'
  AND CASE WHEN k.conrelid <> 0 THEN ${mine('pg_class', 'k.conrelid')} ELSE ${mine('pg_type', 'k.contypid')} END`;

const triggers = `SELECT 'trigger', g.tgrelid::regclass::text || ' ' || quote_ident(g.tgname), jsonb_build_object('enabled', g.tgenabled), jsonb_build_array(pg_get_triggerdef(g.oid))
FROM pg_trigger g WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND ${mine('pg_class', 'g.tgrelid')}`;

const rules = `SELECT 'rule', w.ev_class::regclass::text || ' ' || quote_ident(w.rulename), jsonb_build_object('enabled', w.ev_enabled), jsonb_build_array(pg_get_ruledef(w.oid))
FROM pg_rewrite w WHERE w.rulename <> '_RETURN' AND ${mine('pg_class', 'w.ev_class')}`;

const policies = `SELECT 'policy', p.polrelid::regclass::text || ' ' || quote_ident(p.polname),
  jsonb_build_object('command', p.polcmd, 'isPermissive', p.polpermissive, 'roles', (SELECT jsonb_agg(${role('o')} ORDER BY ${role('o')}) FROM unnest(p.polroles) o)),
  jsonb_build_array(coalesce(pg_get_expr(p.polqual, p.polrelid), ''), coalesce(pg_get_expr(p.polwithcheck, p.polrelid), ''))
FROM pg_policy p WHERE ${mine('pg_class', 'p.polrelid')}`;

const functions = `SELECT CASE p.prokind WHEN 'a' THEN 'aggregate' ELSE 'function' END, p.oid::regprocedure::text,
  jsonb_build_object('owner', ${owner('p.proowner')}, 'acl', ${acl('p.proacl', 'f', 'p.proowner')},
    'aggregate', (SELECT jsonb_build_array(g.aggkind, g.aggnumdirectargs, g.aggtransfn::regproc::text, g.aggfinalfn::regproc::text, g.aggcombinefn::regproc::text, g.aggserialfn::regproc::text, g.aggdeserialfn::regproc::text, g.aggmtransfn::regproc::text, g.aggminvtransfn::regproc::text, g.aggmfinalfn::regproc::text, format_type(g.aggtranstype, NULL), g.agginitval, g.aggminitval, g.aggsortop::regoperator::text) FROM pg_aggregate g WHERE g.aggfnoid = p.oid)),
  CASE p.prokind WHEN 'a' THEN '[]' ELSE jsonb_build_array(pg_get_functiondef(p.oid)) END
FROM pg_proc p WHERE ${mine('pg_proc', 'p.oid')} AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')`;

const types = `SELECT CASE t.typtype WHEN 'd' THEN 'domain' WHEN 'e' THEN 'enum' WHEN 'r' THEN 'range' ELSE 'type' END, format_type(t.oid, NULL),
  jsonb_build_object('owner', ${owner('t.typowner')}, 'acl', ${acl('t.typacl', 'T', 't.typowner')}, 'notNull', t.typnotnull,
    'base', CASE WHEN t.typbasetype <> 0 THEN format_type(t.typbasetype, t.typtypmod) END, 'collation', CASE WHEN t.typcollation <> 0 THEN t.typcollation::regcollation::text END,
    'io', CASE WHEN t.typtype = 'b' THEN jsonb_build_array(t.typinput::regproc::text, t.typoutput::regproc::text, t.typlen, t.typbyval, t.typalign, t.typstorage) END,
    'labels', (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
    'range', (SELECT jsonb_build_array(format_type(r.rngsubtype, NULL), format_type(r.rngmultitypid, NULL), r.rngcanonical::regproc::text, r.rngsubdiff::regproc::text) FROM pg_range r WHERE r.rngtypid = t.oid)),
  jsonb_build_array(coalesce(t.typdefault, ''))
FROM pg_type t WHERE t.typtype IN ('d', 'e', 'r', 'b') AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid) AND ${mine('pg_type', 't.oid')}`;

const schemas = `SELECT 'schema', n.nspname::text, jsonb_build_object('owner', ${owner('n.nspowner')}, 'acl', ${acl('n.nspacl', 'n', 'n.nspowner')}), '[]'::jsonb
FROM pg_namespace n WHERE n.nspname NOT LIKE 'pg\\_%' AND (n.nspname = 'public' OR ${mine('pg_namespace', 'n.oid')})`;

const extensions = `SELECT 'extension', e.extname::text, jsonb_build_object('version', e.extversion, 'schema', n.nspname), '[]'::jsonb
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace`;

const statistics = `SELECT 'statistics', format('%I.%I', n.nspname, s.stxname), jsonb_build_object('owner', ${owner('s.stxowner')}, 'target', coalesce(s.stxstattarget, -1)), jsonb_build_array(pg_get_statisticsobjdef(s.oid))
FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE ${mine('pg_statistic_ext', 's.oid')}`;

const defaultPrivileges = `SELECT 'default privileges', concat_ws(' ', ${owner('d.defaclrole')}, n.nspname, d.defaclobjtype), jsonb_build_object('acl', ${aclOf('d.defaclacl')}), '[]'::jsonb
FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace`;

const eventTriggers = `SELECT 'event trigger', e.evtname::text, jsonb_build_object('owner', ${owner('e.evtowner')}, 'event', e.evtevent, 'enabled', e.evtenabled, 'function', e.evtfoid::regproc::text, 'tags', ${sorted('e.evttags')}), '[]'::jsonb
FROM pg_event_trigger e WHERE ${mine('pg_event_trigger', 'e.oid')}`;

const publications = `SELECT 'publication', p.pubname::text, jsonb_build_object('owner', ${owner('p.pubowner')}, 'what', jsonb_build_array(p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot),
    'tables', (SELECT jsonb_agg(r.prrelid::regclass::text ORDER BY r.prrelid::regclass::text) FROM pg_publication_rel r WHERE r.prpubid = p.oid)), '[]'::jsonb
FROM pg_publication p`;

const foreignServers = `SELECT 'foreign server', s.srvname::text, jsonb_build_object('owner', ${owner('s.srvowner')}, 'acl', ${acl('s.srvacl', 'S', 's.srvowner')}, 'options', ${sorted('s.srvoptions')},
    'users', (SELECT jsonb_agg(jsonb_build_array(${role('m.umuser')}, ${sorted('m.umoptions')}) ORDER BY ${role('m.umuser')}) FROM pg_user_mapping m WHERE m.umserver = s.oid)), '[]'::jsonb
FROM pg_foreign_server s WHERE ${mine('pg_foreign_server', 's.oid')}`;

// Rare kinds: that they are there, and whose.
const others = (
  [
    ['pg_operator', 'oprowner'],
    ['pg_opclass', 'opcowner'],
    ['pg_opfamily', 'opfowner'],
    ['pg_collation', 'collowner'],
    ['pg_conversion', 'conowner'],
    ['pg_ts_config', 'cfgowner'],
    ['pg_ts_dict', 'dictowner'],
    ['pg_ts_parser', undefined],
    ['pg_ts_template', undefined],
    ['pg_cast', undefined],
    ['pg_transform', undefined],
    ['pg_am', undefined],
    ['pg_language', 'lanowner'],
    ['pg_foreign_data_wrapper', 'fdwowner'],
    ['pg_subscription', 'subowner'],
  ] as const
).map(
  ([catalog, column]) =>
    `SELECT 'object', pg_describe_object('${catalog}'::regclass, o.oid, 0), jsonb_build_object('owner', ${column === undefined ? 'NULL::text' : owner(`o.${column}`)}), '[]'::jsonb FROM ${catalog} o WHERE ${mine(catalog, 'o.oid')}${catalog === 'pg_subscription' ? ' AND o.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())' : ''}`,
);

const comments = `SELECT 'comment', pg_describe_object(d.classoid, d.objoid, d.objsubid), jsonb_build_object('text', d.description), '[]'::jsonb
FROM pg_description d WHERE (d.objoid >= 16384 OR d.classoid = 'pg_largeobject'::regclass) AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.deptype = 'e' AND x.classid = d.classoid AND x.objid = d.objoid)
  AND d.classoid <> 'pg_extension'::regclass`;

// What was granted or taken of the server's own functions and views; their owner has another name elsewhere.
const systemGrants = (
  [
    ['pg_proc', 'proacl', 'f', 'proowner', 'o.oid::regprocedure::text'],
    ['pg_class', 'relacl', 'r', 'relowner', 'o.oid::regclass::text'],
    ['pg_namespace', 'nspacl', 'n', 'nspowner', 'o.nspname::text'],
  ] as const
).map(
  ([catalog, column, type, who, name]) =>
    `SELECT 'system grant', ${name}, jsonb_build_object('acl', (SELECT jsonb_agg(item ORDER BY item) FROM (SELECT jsonb_build_array(CASE a.grantee WHEN 10 THEN '' ELSE ${role('a.grantee')} END, a.privilege_type, a.is_grantable) AS item FROM aclexplode(o.${column}) a) i)), '[]'::jsonb
FROM ${catalog} o LEFT JOIN pg_init_privs p ON p.classoid = '${catalog}'::regclass AND p.objoid = o.oid AND p.objsubid = 0
WHERE NOT ${isOurs(catalog, 'o.oid')} AND o.oid <> 2200${catalog === 'pg_class' ? ` AND o.relnamespace = 'pg_catalog'::regnamespace` : ''} AND o.${column} IS NOT NULL AND o.${column} IS DISTINCT FROM coalesce(p.initprivs, acldefault('${type}', o.${who}))`,
);

const database = `SELECT 'database', 'properties', jsonb_build_object('owner', ${owner('d.datdba')}, 'acl', ${acl('d.datacl', 'd', 'd.datdba')}, 'encoding', pg_encoding_to_char(d.encoding),
    'locale', to_jsonb(d) - ARRAY['oid', 'datname', 'datdba', 'encoding', 'datistemplate', 'datallowconn', 'dathasloginevt', 'datconnlimit', 'datfrozenxid', 'datminmxid', 'dattablespace', 'datcollversion', 'datacl', 'datlastsysoid'],
    'isTemplate', d.datistemplate, 'connections', d.datconnlimit, 'comment', shobj_description(d.oid, 'pg_database'),
    'settings', (SELECT jsonb_agg(jsonb_build_array(${role('s.setrole')}, ${sorted('s.setconfig')}) ORDER BY ${role('s.setrole')}) FROM pg_db_role_setting s WHERE s.setdatabase = d.oid)), '[]'::jsonb
FROM pg_database d WHERE d.datname = current_database()`;

/** One SELECT over everything that a database has but its rows. */
export const catalogQuery: string = [
  relations,
  sequences,
  indexes,
  constraints,
  triggers,
  rules,
  policies,
  functions,
  types,
  schemas,
  extensions,
  statistics,
  defaultPrivileges,
  eventTriggers,
  publications,
  foreignServers,
  ...others,
  comments,
  ...systemGrants,
  database,
].join('\nUNION ALL\n');
