// Makes every call, with a server that answers each in the worst way there is, and prints everything that a careless program would print.
// The secrets come by stdin, so that nothing but the client can bring them to stdout or stderr.
import { inspect } from 'node:util';
import { Secret } from '@devstack-core/redaction';
import nodeVault from 'node-vault';
import { createVaultClient, type VaultClient } from '../src/index.ts';

interface Input {
  readonly address: string;
  readonly closed: string;
  readonly token: string;
  readonly secretId: string;
  readonly password: string;
  readonly key: string;
}

let text = '';
for await (const chunk of process.stdin) text += String(chunk);
const input = JSON.parse(text) as Input;
const seen: unknown[] = [];
const note = async (work: () => Promise<unknown>): Promise<void> => {
  try {
    seen.push(await work());
  } catch (error) {
    seen.push(error, (error as Error).stack, (error as Error).cause, JSON.stringify(error), String(error));
  }
};

if (process.argv[2] === 'node-vault') await plainNodeVault();
else await everyCall();

process.stdout.write(
  `${inspect(seen, { depth: Infinity, showHidden: true, maxArrayLength: Infinity, maxStringLength: Infinity })}\n`,
);
for (const value of seen) console.log('%o %s %j', value, value, value);
process.stdout.write(`\nnoted ${String(seen.length)}\n`);

async function everyCall(): Promise<void> {
  const [token, secretId, password, key] = [input.token, input.secretId, input.password, input.key].map(
    (value) => new Secret(value),
  ) as [Secret, Secret, Secret, Secret];
  const client = createVaultClient({
    address: input.address,
    token,
    timeoutMs: 150,
    retry: { deadlineMs: 60 },
    onRetry: (event) => seen.push(event),
  });
  seen.push(client);
  const calls: readonly ((vault: VaultClient) => Promise<unknown>)[] = [
    (vault) => vault.health(), (vault) => vault.sealStatus(), (vault) => vault.init({ shares: 1, threshold: 1 }),
    (vault) => vault.unseal(key, { reset: true }), (vault) => vault.seal(), (vault) => vault.snapshot(), (vault) => vault.restoreSnapshot(new Uint8Array(100)),
    (vault) => vault.kvRead('a'), (vault) => vault.kvWrite('a', { password, plain: password.reveal() }, { cas: 1 }), (vault) => vault.kvList('a'), (vault) => vault.kvMetadata('a'), (vault) => vault.kvDelete('a'),
    (vault) => vault.loginAppRole({ roleId: 'role', secretId }), (vault) => vault.renewSelf(), (vault) => vault.revokeSelf(), (vault) => vault.lookupSelf(),
    (vault) => vault.createToken({ policies: ['p'] }), (vault) => vault.revokeAccessor('a'), (vault) => vault.capabilitiesSelf(['a']),
    (vault) => vault.listRoles(), (vault) => vault.readRole('a'), (vault) => vault.writeRole('a', { tokenTtlS: 1 }), (vault) => vault.deleteRole('a'),
    (vault) => vault.readRoleId('a'), (vault) => vault.writeRoleId('a', new Secret(input.secretId)), (vault) => vault.createSecretId({ role: 'a' }), (vault) => vault.listSecretIdAccessors('a'),
    (vault) => vault.lookupSecretIdAccessor({ role: 'a', accessor: 'b' }), (vault) => vault.lookupSecretId({ role: 'a', secretId }), (vault) => vault.destroySecretIdAccessor({ role: 'a', accessor: 'b' }),
    (vault) => vault.listMounts(), (vault) => vault.enableMount({ path: 'a', type: 'kv' }), (vault) => vault.disableMount('a'), (vault) => vault.listAuth(), (vault) => vault.enableAuth({ path: 'a', type: 'approle' }),
    (vault) => vault.tuneAuth({ path: 'a', maxLeaseTtlS: 1 }), (vault) => vault.disableAuth('a'), (vault) => vault.listAudit(), (vault) => vault.enableAudit({ path: 'a', type: 'file' }), (vault) => vault.disableAudit('a'),
    (vault) => vault.writePolicy('a', 'b'), (vault) => vault.readPolicy('a'), (vault) => vault.deletePolicy('a'), (vault) => vault.listPolicies(),
    (vault) => vault.tuneMount({ path: 'a', maxLeaseTtlS: 1 }), (vault) => vault.listPkiIssuers(), (vault) => vault.readPkiIssuer('a'), (vault) => vault.readPkiCertificate('a'),
    (vault) => vault.writePkiIssuer('a', { name: 'b', leafNotAfterBehavior: 'err' }), (vault) => vault.deletePkiIssuer('a'), (vault) => vault.setPkiDefaultIssuer('a'),
    (vault) => vault.listPkiKeys(), (vault) => vault.deletePkiKey('a'), (vault) => vault.generatePkiIntermediate({ commonName: 'a' }), (vault) => vault.importPkiCertificates('a'),
    (vault) => vault.listPkiRoles(), (vault) => vault.readPkiRole('a'), (vault) => vault.writePkiRole('a', { ttlS: 1 }), (vault) => vault.deletePkiRole('a'),
    (vault) => vault.readPkiAutoTidy(), (vault) => vault.writePkiAutoTidy({ enabled: true, intervalS: 1, safetyBufferS: 1, tidyCertStore: true, tidyRevokedCerts: true }), (vault) => vault.signPkiCertificate({ role: 'a', csrPem: 'b', commonName: 'c' }),
    (vault) => vault.issuePkiCertificate({ role: 'a', commonName: 'c' }), (vault) => vault.revokePkiCertificate('a'),
    (vault) => vault.request('POST', 'sys/x', { password: new Secret(input.password) }).then(() => 'plain by contract'),
  ]; // prettier-ignore
  // The server takes the answer from the namespace, which every request carries.
  for (const mode of [
    'fine',
    '400',
    '403',
    '404',
    '500',
    'sealed',
    'uninitialized',
    'standby',
    'cas',
    'html',
    'truncated',
    'reset',
    'timeout',
  ]) {
    const vault = createVaultClient({
      address: input.address,
      token,
      namespace: mode,
      timeoutMs: mode === 'timeout' ? 40 : 2000,
      retry: { deadlineMs: 0 },
    });
    await Promise.all(calls.map((call) => note(() => call(vault))));
  }
  const nobody = createVaultClient({ address: input.closed, token, retry: { deadlineMs: 60 } });
  await Promise.all(calls.map((call) => note(() => call(nobody))));
  await Promise.all(
    calls.map((call) =>
      note(() => call(nobody.with({ signal: AbortSignal.timeout(20), retry: { deadlineMs: 1000 } }))),
    ),
  );
}

/** The control: the same library without this package around it. */
async function plainNodeVault(): Promise<void> {
  const vault = nodeVault({ endpoint: input.address, token: input.token, namespace: '400' });
  await note(() => vault.write('auth/approle/login', { role_id: 'role', secret_id: input.secretId }));
  await note(() => vault.write('secret/data/a', { data: { password: input.password } }));
  await note(() => vault.unseal({ key: input.key }));
  const nobody = nodeVault({ endpoint: input.closed, token: input.token });
  await note(() => nobody.write('secret/data/a', { data: { password: input.password } }));
}
