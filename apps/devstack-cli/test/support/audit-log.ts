import { docker } from './programs.ts';
import type { TestStack } from './test-stack.ts';

/** One line of Vault's file audit device, as far as the tests look. */
export interface AuditEntry {
  readonly time: string;
  readonly type: 'request' | 'response';
  readonly auth?: {
    readonly display_name?: string;
    readonly policies?: readonly string[];
    readonly metadata?: Readonly<Record<string, string>>;
  };
  readonly request: { readonly path: string; readonly operation: string; readonly remote_address?: string };
  readonly error?: string;
}

export async function readAuditLog(stack: TestStack): Promise<readonly AuditEntry[]> {
  const text = await docker('exec', `${stack.project}-vault-1`, 'cat', '/vault/audit/audit.log');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as AuditEntry);
}

/** The services that logged in by AppRole, by the metadata of their secret_id. */
export function approleLogins(entries: readonly AuditEntry[]): ReadonlySet<string> {
  const logins = entries.filter(
    (entry) => entry.type === 'response' && entry.request.path === 'auth/approle/login' && entry.error === undefined,
  );
  return new Set(logins.flatMap((entry) => entry.auth?.metadata?.['service'] ?? []));
}

/** Requests made with a root token. */
export function rootUses(entries: readonly AuditEntry[]): readonly AuditEntry[] {
  return entries.filter(
    (entry) =>
      entry.type === 'request' &&
      (entry.auth?.display_name === 'root' || entry.auth?.policies?.includes('root') === true),
  );
}
