// Runs one initialisation as a program of its own, so that it can be killed at any step. Says each step before it goes on, and dies where it is told.
import { readFileSync, writeSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createVaultClient } from '@devstack-core/vault-client';
import { initializeVault } from '../src/index.ts';

interface Input {
  readonly address: string;
  readonly directory: string;
  readonly shares?: number;
  readonly threshold?: number;
  /** The event at which the process kills itself. */
  readonly killAt?: string;
  /** The event at which the rest of the disk is filled. */
  readonly fillAt?: string;
}

const input = JSON.parse(readFileSync(0, 'utf8')) as Input;
try {
  const { outcome } = await initializeVault({
    client: createVaultClient({ address: input.address, retry: { deadlineMs: 5000 } }),
    directory: input.directory,
    shares: input.shares ?? 1,
    threshold: input.threshold ?? 1,
    async onEvent({ type }) {
      writeSync(1, `${type}\n`);
      if (input.fillAt === type) await fill(`${input.directory}/filler`);
      if (input.killAt === type) process.kill(process.pid, 'SIGKILL');
    },
  });
  writeSync(1, `${outcome}\n`);
} catch (error) {
  writeSync(1, `${JSON.stringify(error)}\n`);
  process.exitCode = 1;
}

async function fill(path: string): Promise<void> {
  for (let size = 1 << 20; size >= 1; size >>= 1) {
    for (;;) {
      try {
        await writeFile(`${path}-${String(size)}-${String(Math.random())}`, new Uint8Array(size).fill(1));
      } catch {
        break;
      }
    }
  }
}
