import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { issueFromRoot, openRoot, type LeafCertificate } from '@devstack-core/certificates';
import { Secret } from '@devstack-core/redaction';
import { docker, program } from './programs.ts';
import type { TestStack } from './test-stack.ts';

const folder = '/run/credentials/tls';

/** A certificate by the stack's own root, for any name: what only somebody with the root's key could make. */
export async function issueByStackRoot(stack: TestStack, commonName: string): Promise<LeafCertificate> {
  const directory = join(stack.folder, 'certificates');
  const passphrase = new Secret((await readFile(join(directory, 'passphrase'), 'utf8')).trim());
  return issueFromRoot({ root: await openRoot({ directory, passphrase }), commonName, dnsNames: ['localhost'] });
}

/** Has the server of a container present another certificate, from its next connection on; `putBack` ends that. */
export async function plantCertificate(
  container: string,
  leaf: LeafCertificate,
): Promise<{ readonly putBack: () => Promise<void> }> {
  const current = (await docker('exec', container, 'readlink', `${folder}/current`)).trim();
  const planted = `${folder}/versions/planted`;
  // One file as both: each reader takes what it looks for.
  const write = `umask 077; mkdir -p ${planted}; cat > ${planted}/tls.crt; cp ${planted}/tls.crt ${planted}/tls.key`;
  const pem = `${leaf.certificatePem}${leaf.chainPem}${leaf.privateKey.reveal()}`;
  await program('docker', ['exec', '-i', container, 'sh', '-c', write], { input: pem });
  const present = async (version: string): Promise<void> => {
    await docker('exec', container, 'ln', '-sfn', version, `${folder}/current`);
    await docker('kill', '--signal', 'HUP', container);
  };
  await present('versions/planted');
  return {
    putBack: async () => {
      await present(current);
      await docker('exec', container, 'rm', '-r', planted);
    },
  };
}
