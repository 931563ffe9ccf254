// Sets the PKI up and kills itself, as kill -9 does, at the event it is told: what the kill test starts.
import { writeSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { Secret } from '@devstack-core/redaction';
import { createVaultClient } from '@devstack-core/vault-client';
import { ensurePki, openRoot, type PkiRole } from '../src/index.ts';

const input = JSON.parse(await text(process.stdin)) as {
  address: string;
  token: string;
  directory: string;
  passphrase: string;
  killAt: string;
  roles: PkiRole[];
  now?: string;
};
const { now } = input;
await ensurePki({
  client: createVaultClient({ address: input.address, token: new Secret(input.token) }),
  root: await openRoot({ directory: input.directory, passphrase: new Secret(input.passphrase) }),
  roles: input.roles,
  ...(now === undefined ? {} : { now: () => new Date(now) }),
  onEvent: ({ type, step }) => {
    const name = `${type} ${step.replace(/^root-.*/, 'root')}`;
    if (name !== input.killAt) return;
    writeSync(1, `killed at ${name}\n`);
    process.kill(process.pid, 'SIGKILL');
  },
});
