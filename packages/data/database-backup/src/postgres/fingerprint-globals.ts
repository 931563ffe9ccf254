import type { Fingerprint } from '../types.ts';
import { toItem } from './fingerprint-database.ts';
import { quoteText } from './quote.ts';
import type { PsqlSession } from './session.ts';

/** The first superuser of a throwaway server: a name that nobody's roles have. */
export const throwawayUser = 'devstack-backup-throwaway';

// Passwords are not compared, only that there is one: a role that was there before a restore keeps its own.
const roles = `SELECT 'role' AS kind, r.rolname::text AS name,
  jsonb_build_object('attributes', jsonb_build_array(r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication, r.rolbypassrls, r.rolconnlimit, r.rolvaliduntil),
    'password', CASE WHEN r.rolpassword IS NULL THEN 'none' WHEN r.rolpassword LIKE 'SCRAM-SHA-256%' THEN 'scram' ELSE 'md5' END,
    'settings', (SELECT jsonb_agg(o ORDER BY o) FROM pg_db_role_setting s, unnest(s.setconfig) o WHERE s.setrole = r.oid AND s.setdatabase = 0),
    'comment', shobj_description(r.oid, 'pg_authid')) AS facts,
  '[]'::jsonb AS expressions
FROM pg_authid r WHERE r.rolname !~ '^pg_' AND r.rolname <> ${quoteText(throwawayUser)}`;

// What the first superuser granted is granted by the first superuser, whatever it is called.
const memberships = `SELECT 'membership', pg_get_userbyid(m.member) || ' in ' || pg_get_userbyid(m.roleid),
  jsonb_agg(to_jsonb(m) - ARRAY['oid', 'roleid', 'member', 'grantor'] || jsonb_build_object('grantor', CASE m.grantor WHEN 10 THEN '' ELSE pg_get_userbyid(m.grantor) END) ORDER BY CASE m.grantor WHEN 10 THEN '' ELSE pg_get_userbyid(m.grantor)::text END),
  '[]'::jsonb
FROM pg_auth_members m WHERE pg_get_userbyid(m.member) !~ '^pg_' GROUP BY m.member, m.roleid`;

const parameters = `SELECT 'parameter', p.parname,
  (SELECT jsonb_agg(item ORDER BY item) FROM (SELECT jsonb_build_array(CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable) AS item FROM aclexplode(p.paracl) a WHERE a.grantee <> 10) i),
  '[]'::jsonb
FROM pg_parameter_acl p`;

/** Roles, memberships and privileges on parameters. */
export async function fingerprintGlobals(session: PsqlSession): Promise<Fingerprint> {
  const [version] = await session.query(
    `SELECT current_setting('server_version_num')::int >= 150000 AS has_parameters`,
  );
  const parts = [roles, memberships, ...(version?.['has_parameters'] === true ? [parameters] : [])];
  const rows = await session.query(parts.join('\nUNION ALL\n'));
  return { schema: 'devstack/fingerprint/1', items: rows.map(toItem) };
}
