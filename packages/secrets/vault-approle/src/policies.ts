import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DevstackError } from '@devstack-core/errors';
import { VaultAppRoleErrorCode } from './errors.ts';

/** A role's policy as its file has it. */
export interface PolicyFile {
  readonly role: string;
  /** HCL. */
  readonly policy: string;
  readonly path: string;
}

const suffix = '-policy.hcl';

/** The policies in a folder, `<role>-policy.hcl`, by role. Throws `POLICIES_INVALID` where there is none or one is empty. */
export async function loadPolicies(directory: string): Promise<readonly PolicyFile[]> {
  const names = (await readdir(directory).catch(() => [])).filter((name) => name.endsWith(suffix)).sort();
  if (names.length === 0) throw invalid(directory, 'holds no policy', 'Policies are files named <role>-policy.hcl.');
  return Promise.all(
    names.map(async (name) => {
      const path = join(directory, name);
      const policy = await readFile(path, 'utf8');
      if (policy.trim() === '') throw invalid(path, 'is empty', 'A role without any permission needs no role.');
      return { role: name.slice(0, -suffix.length).toLowerCase(), policy, path };
    }),
  );
}

function invalid(path: string, why: string, hint: string): DevstackError {
  return new DevstackError({
    code: VaultAppRoleErrorCode.policiesInvalid,
    message: `${path} ${why}.`,
    hint,
    details: { path },
  });
}
