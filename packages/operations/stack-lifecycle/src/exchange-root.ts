import { retireRoot, rotateRoot } from '@devstack-core/certificates';
import { readRootToken } from '@devstack-core/vault-lifecycle';
import { pkiRolesOf, readPassphrase, rootName } from './certificates.ts';
import type { OnEvent } from './events.ts';
import { renewEach, type RenewedCertificate } from './renew-certificates.ts';
import { certificates } from './served-certificates.ts';
import { withStackLease } from './stack-lease.ts';
import type { Stack } from './stack.ts';

/** What an exchange of roots did. */
export interface RootExchange {
  readonly root: string;
  /** Roots that are still trusted, or that were until now. */
  readonly previous: readonly string[];
  readonly renewed: readonly RenewedCertificate[];
}

interface ExchangeOptions {
  readonly onEvent: OnEvent;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes a new root and goes over to it. Everything trusts both before anything is presented that only the new one vouches for, so no
 * client refuses a server meanwhile. The old root stays trusted until `retireRoots`. Killed and repeated, it goes on with the same new
 * root. Throws LEASE_HELD, and what the renewal of Vault's intermediate throws.
 */
export async function exchangeRoot(stack: Stack, options: ExchangeOptions): Promise<RootExchange> {
  return withStackLease(stack, { owner: 'devstack certs rotate-ca', signal: options.signal }, async () => {
    const { root, previousId } = await rotateRoot({
      ...(await pkiOptions(stack)),
      passphrase: () => readPassphrase(stack.directories.certificates),
      newRoot: rootName(stack),
      deliver: async () => {
        await renewEach(stack, options);
      },
      onStep: (step) => {
        options.onEvent({ type: 'progress', step: 'certificates', text: step });
      },
    });
    // Now with the chain of the new root.
    const renewed = await renewEach(stack, { ...options, force: true });
    return { root: root.id, previous: [previousId], renewed };
  });
}

/** Ends the overlap: the old roots are trusted no longer. Throws ROOT_STILL_USED where a running service's certificate depends on one. */
export async function retireRoots(stack: Stack, options: ExchangeOptions): Promise<RootExchange> {
  return withStackLease(stack, { owner: 'devstack certs rotate-ca --retire', signal: options.signal }, async () => {
    const { services } = await certificates(stack);
    const { root, retired } = await retireRoot({
      ...(await pkiOptions(stack)),
      inUse: services.map(({ service, chainPem }) => ({ service, chainPem })),
    });
    // What every service trusts is a file of its own: each gets the shorter one.
    const renewed = retired.length === 0 ? [] : await renewEach(stack, options);
    return { root: root.id, previous: retired, renewed };
  });
}

async function pkiOptions(stack: Stack): Promise<{
  readonly directory: string;
  readonly client: ReturnType<Stack['vault']>;
  readonly roles: ReturnType<typeof pkiRolesOf>;
}> {
  return {
    directory: stack.directories.certificates,
    client: stack.vault(await readRootToken({ directory: stack.directories.vault })),
    roles: pkiRolesOf(stack.model),
  };
}
