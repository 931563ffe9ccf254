// Exchanges or retires a root and kills itself, as kill -9 does, at the step it is told: what the kill tests start.
import { writeSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { Secret } from '@devstack-core/redaction';
import { createVaultClient } from '@devstack-core/vault-client';
import { createRoot, retireRoot, rotateRoot, type PkiRole } from '../src/index.ts';

const input = JSON.parse(await text(process.stdin)) as {
  what: 'create' | 'rotate' | 'retire';
  address: string;
  token: string;
  directory: string;
  passphrase: string;
  killAt: string;
  roles: PkiRole[];
};
const { directory, roles } = input;
const passphrase = new Secret(input.passphrase);
const onStep = (step: string): void => {
  if (step !== input.killAt) return;
  writeSync(1, `killed at ${step}\n`);
  process.kill(process.pid, 'SIGKILL');
};
if (input.what === 'create') await createRoot({ directory, passphrase, curve: 'P-256', onStep });
else {
  const client = createVaultClient({ address: input.address, token: new Secret(input.token) });
  if (input.what === 'rotate') await rotateRoot({ client, directory, passphrase, roles, onStep });
  else await retireRoot({ client, directory, roles, inUse: [], onStep });
}
