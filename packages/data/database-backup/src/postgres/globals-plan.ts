import { quoteName } from './quote.ts';
import { splitStatements } from './sql-statements.ts';

export interface GlobalsContext {
  /** Roles that are there already. */
  readonly existing: readonly string[];
  /** What the first superuser is called where the dump comes from, and where it goes. */
  readonly superuser: { readonly there: string | undefined; readonly here: string };
}

const name = String.raw`("(?:[^"]|"")*"|[^\s"';]+)`;
const createRole = new RegExp(`^CREATE ROLE ${name}$`);
const alterRole = new RegExp(`^ALTER ROLE ${name} WITH ([^]*)$`);
const setRole = new RegExp(`^ALTER ROLE ${name} SET [^]*$`);
const grantRole = new RegExp(`^(GRANT ${name} TO ${name}[^]*) GRANTED BY ${name}$`);
const password = / PASSWORD '(?:[^']|'')*'/;

/** What to run of a script of `pg_dumpall --globals-only`, in order. Undefined when the script is not whole. */
export function planGlobals(script: string, { existing, superuser }: GlobalsContext): readonly string[] | undefined {
  const { statements, isComplete } = splitStatements(script);
  if (!isComplete) return undefined;
  const there = new Set(existing);
  const reset = new Set<string>();
  return statements.flatMap((statement) => {
    const created = nameIn(createRole, statement);
    if (created !== undefined) return there.has(created) ? [] : [statement];
    const altered = nameIn(alterRole, statement);
    // The first superuser cannot lose what it is, and is the same everywhere.
    if (altered === superuser.here) return [];
    if (altered !== undefined) return [there.has(altered) ? statement.replace(password, '') : statement];
    const configured = nameIn(setRole, statement);
    if (configured !== undefined) {
      if (reset.has(configured)) return [statement];
      reset.add(configured);
      return [`ALTER ROLE ${quoteName(configured)} RESET ALL`, statement];
    }
    const [, grant, , , grantor] = grantRole.exec(statement) ?? [];
    if (grant !== undefined && grantor !== undefined && unquote(grantor) === superuser.there)
      return [`${grant} GRANTED BY ${quoteName(superuser.here)}`];
    return [statement];
  });
}

function nameIn(pattern: RegExp, statement: string): string | undefined {
  const [, found] = pattern.exec(statement) ?? [];
  return found === undefined ? undefined : unquote(found);
}

function unquote(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text;
}
