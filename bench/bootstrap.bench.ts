import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createVaultClient } from '../packages/core/vault-client/src/index.ts';
import { startVault } from '../packages/core/vault-testing/src/index.ts';
import { bootstrapVault, loadPolicies, rollbackBootstrap } from '../packages/secrets/vault-approle/src/index.ts';
import { elapsedMs, inTurns, median } from './lib/measure.ts';
import { report, type Row } from './lib/report.ts';

// Bootstrap of 15 roles by the library beside the same done with calls of the `vault` command line, which run in Vault's own container,
// in one shell, without a start of a container for each. Both end with the same mounts, policies, roles and files with secret_ids.

const rounds = 5;

await using vault = await startVault({ storage: 'raft', network: true, audit: false });
const subnet = vault.network?.subnet ?? '';
const directory = await mkdtemp(join(tmpdir(), 'bench-bootstrap-'));
const policies = await loadPolicies(new URL('../configs/vault/policies', import.meta.url).pathname);
const roles = policies.map(({ role, policy }) => ({ role, policy, boundCidrs: [subnet] }));
const consumers = roles.map(({ role }, index) => ({
  service: role,
  role,
  addresses: [subnet.replace(/0\/24$/, String(index + 50))],
}));
const client = createVaultClient(vault.clientOptions);
const options = { client, roles, consumers, directory };

const calls = (again: boolean): string =>
  [
    'set -eu; mkdir -p /tmp/approles; cd /tmp/approles; umask 077',
    ...(again
      ? ['vault secrets list >/dev/null', 'vault auth list >/dev/null']
      : [
          'vault secrets enable -path=secret -version=2 kv >/dev/null',
          'vault auth enable approle >/dev/null',
          'vault auth tune -max-lease-ttl=720h -user-lockout-disable=true approle/ >/dev/null',
        ]),
    ...roles.flatMap(({ role, policy }, index) => [
      `mkdir -p ${role}`,
      `vault policy write ${role} - >/dev/null <<'POLICY'\n${policy}\nPOLICY`,
      `vault write auth/approle/role/${role} token_policies=${role} token_no_default_policy=true token_ttl=300 token_max_ttl=3600 secret_id_ttl=720h secret_id_bound_cidrs=${subnet} token_bound_cidrs=${subnet} >/dev/null`,
      `vault read -field=role_id auth/approle/role/${role}/role-id > ${role}/role-id`,
      again
        ? `vault write auth/approle/role/${role}/secret-id/lookup secret_id=@${role}/secret-id >/dev/null`
        : `vault write -field=secret_id auth/approle/role/${role}/secret-id cidr_list=${consumers[index]?.addresses[0] ?? ''}/32 token_bound_cidrs=${consumers[index]?.addresses[0] ?? ''}/32 > ${role}/secret-id`,
    ]),
    'sync',
  ].join('\n');

/** The token comes on stdin: not in an argument, not in the container's environment. */
async function commandLine(again: boolean): Promise<void> {
  const script = `export VAULT_ADDR=http://127.0.0.1:8200 VAULT_TOKEN=${vault.rootToken.reveal()}\n${calls(again)}\n`;
  await new Promise<void>((resolve, reject) => {
    const child = spawn('docker', ['exec', '-i', vault.name, 'sh', '-s'], { stdio: ['pipe', 'ignore', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`The vault command line ended with ${String(code)}: ${errors.slice(-1000)}`));
    });
    child.stdin.end(script);
  });
}

async function reset(): Promise<void> {
  await rollbackBootstrap({ ...options, removeSecrets: true });
  await rm(directory, { recursive: true, force: true });
}

interface Times {
  readonly first: number[];
  readonly again: number[];
}

async function measure(times: Times, bootstrap: (again: boolean) => Promise<unknown>): Promise<void> {
  await reset();
  times.first.push(await elapsedMs(() => bootstrap(false)));
  times.again.push(await elapsedMs(() => bootstrap(true)));
}

try {
  const ours: Times = { first: [], again: [] };
  const peer: Times = { first: [], again: [] };
  await inTurns(
    rounds,
    () => measure(ours, () => bootstrapVault(options)),
    () => measure(peer, commandLine),
  );
  const row = (name: keyof Times, targetMs: number): Row => {
    const [own, other] = [median(ours[name].slice(1)), median(peer[name].slice(1))];
    process.stderr.write(
      `${name.padEnd(6)} ours ${own.toFixed(0).padStart(5)} ms   vault command line ${other.toFixed(0).padStart(6)} ms   ratio 1/${(other / own).toFixed(1)}\n`,
    );
    return {
      what: `bootstrap of ${String(roles.length)} roles, ${name}`,
      ours: own,
      peer: other,
      unit: 'ms',
      target: `${String(targetMs)} ms and 1/5 of the peer`,
      met: own <= targetMs && own <= other / 5,
    };
  };
  report(
    'Bootstrap of Vault',
    [row('first', 600), row('again', 300)],
    [
      `Medians of ${String(rounds)} runs each, in turns, on raft storage; the first run of the process took ${(ours.first[0] ?? 0).toFixed(0)} ms.`,
      'The peer is one shell in the container of Vault that calls `vault` for each step; ours also checks its result and writes durably.',
    ],
  );
} finally {
  await rm(directory, { recursive: true, force: true });
}
