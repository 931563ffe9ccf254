// Runs a bootstrap and kills itself, as kill -9 does, at the event it is told: what the kill test starts.
import { writeSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { Secret } from '@devstack-core/redaction';
import { createVaultClient } from '@devstack-core/vault-client';
import { bootstrapVault, type BootstrapEvent, type BootstrapOptions } from '../src/index.ts';
import { eventName } from './event-name.ts';

const input = JSON.parse(await text(process.stdin)) as {
  address: string;
  token: string;
  killAt: string;
  force: boolean;
  options: Omit<BootstrapOptions, 'client'>;
};
const client = createVaultClient({ address: input.address, token: new Secret(input.token) });
await bootstrapVault({
  ...input.options,
  client,
  force: input.force,
  concurrency: 1,
  onEvent: (event: BootstrapEvent) => {
    if (eventName(event) !== input.killAt) return;
    writeSync(1, `killed at ${eventName(event)}\n`);
    process.kill(process.pid, 'SIGKILL');
  },
});
