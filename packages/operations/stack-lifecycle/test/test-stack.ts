import { randomBytes, randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connectDocker } from '@devstack-core/docker-engine';
import { findPortHolders } from '../src/port-holders.ts';
import { openStack, type Stack } from '../src/stack.ts';
import { reset } from '../src/stop.ts';

/** This checkout, whose compose files and images the tests bring up. */
export const checkout = fileURLToPath(new URL('../../../../', import.meta.url)).replace(/\/$/, '');

/** A stack of this checkout beside all others: own id, configuration, subnet and ports. Disposing removes everything of it. */
export interface TestStack extends AsyncDisposable {
  readonly stack: Stack;
  readonly configHome: string;
  /** What names it, as settings. */
  readonly own: Readonly<Record<string, string>>;
  /** Opens it again, e.g. with one more setting. */
  open(settings?: Readonly<Record<string, string>>): Promise<Stack>;
}

/** Allocates one, of this checkout or of a copy that is changed; nothing is started. */
export async function createTestStack(root = checkout): Promise<TestStack> {
  const configHome = await mkdtemp(join(tmpdir(), 'devstack-sl-'));
  const own = {
    DEVSTACK_PROJECT: `sl-${randomBytes(4).toString('hex')}`,
    DEVSTACK_SUBNET_PREFIX: await freePrefix(),
    DEVSTACK_PORT_OFFSET: String(await freePortOffset()),
  };
  const open = async (settings: Readonly<Record<string, string>> = {}): Promise<Stack> =>
    openStack({ root, configHome, env: { ...process.env, ...own, ...settings } });
  const stack = await open();
  return {
    stack,
    configHome,
    own,
    open,
    [Symbol.asyncDispose]: async () => {
      // Opened anew: a reset in the test has taken the files of the one that was open.
      await reset(await open());
      await rm(configHome, { recursive: true, force: true });
    },
  };
}

async function freePrefix(): Promise<string> {
  const engine = await connectDocker({ env: process.env });
  const used = (await engine.listNetworks()).flatMap((network) => network.subnets);
  for (;;) {
    const prefix = `10.${String(randomInt(1, 255))}`;
    if (!used.some((subnet) => subnet.startsWith(`${prefix}.`) || subnet.startsWith('10.0.0.0/8'))) return prefix;
  }
}

const defaultPorts = [2222, 3000, 3306, 5432, 5672, 6379, 6380, 6381, 6432, 8080, 8200, 15672, 27017];

/** An offset at which every default port is free now, below the range that the kernel hands out. */
export async function freePortOffset(): Promise<number> {
  for (;;) {
    const offset = randomInt(10, 560) * 10;
    if ((await findPortHolders(defaultPorts.map((port) => port + offset))).length === 0) return offset;
  }
}
