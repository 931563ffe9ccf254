import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { caFile, tlsFolder } from '@devstack-core/service-init';
import type { VaultClient } from '@devstack-core/vault-client';
import type { Settings } from './settings.ts';

/**
 * A certificate for this service, under its own role, into its private folder on tmpfs: the key is made here and leaves neither
 * the container nor its memory. A folder for each, and a link that moves in one step: a server reads both files of one or the other.
 */
export async function installCertificate(settings: Settings, client: VaultClient): Promise<void> {
  const { issueLeaf } = await import('@devstack-core/certificates');
  const leaf = await issueLeaf({
    client,
    role: settings.role,
    commonName: settings.service,
    dnsNames: ['localhost'],
    caBundlePem: await readFile(caFile(settings.approleDirectory), 'utf8'),
    ...(settings.certificateTtlS === undefined ? {} : { ttlS: settings.certificateTtlS }),
  });
  const current = join(settings.credentialsDirectory, tlsFolder.current);
  const folder = join(current, '..', leaf.serial);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(join(folder, tlsFolder.privateKey), leaf.privateKey.reveal(), { mode: 0o600 });
  await writeFile(join(folder, tlsFolder.certificate), `${leaf.certificatePem}${leaf.chainPem}`, { mode: 0o600 });
  await rm(`${current}.next`, { force: true });
  await symlink(leaf.serial, `${current}.next`);
  await rename(`${current}.next`, current);
}
