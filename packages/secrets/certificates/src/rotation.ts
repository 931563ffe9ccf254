import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { acquireLease } from '@devstack-core/durable-files';
import { DevstackError } from '@devstack-core/errors';
import { CertificatesErrorCode } from './errors.ts';
import { isIssuedBy, parseCertificates } from './pem.ts';
import { ensurePki, type EnsurePkiOptions, type PkiReport } from './pki.ts';
import {
  ensureBundle,
  makeRootFiles,
  readRootCertificate,
  removeUnnamedRoots,
  writeRootState,
  type NewRoot,
  type RootState,
} from './root-store.ts';
import { openRoot, rootOf, type Passphrase, type RootAuthority } from './root.ts';

/** The moments of an exchange of roots, in their order. */
export type RotationStep =
  'root-made' | 'trusted' | 'published' | 'delivered' | 'intermediate-signed' | 'switched' | 'retired';

export interface RotateRootOptions extends Omit<EnsurePkiOptions, 'root'> {
  /** The directory of the root. */
  readonly directory: string;
  /** Of the new root's key. */
  readonly passphrase: Passphrase;
  readonly newRoot?: Pick<NewRoot, 'commonName' | 'organization' | 'ttlS' | 'curve'>;
  /**
   * Brings the bundle of both roots to everything that verifies, before anything is presented that only the new one vouches for: renew each
   * leaf with `caBundlePem`, or write `ca.crt`. May be called again after a crash.
   */
  readonly deliver?: (bundle: { readonly caBundlePem: string; readonly bundlePath: string }) => Promise<void>;
  readonly onStep?: (step: RotationStep) => void;
}

export interface RotationReport {
  readonly root: RootAuthority;
  readonly previousId: string;
  readonly pki: PkiReport;
}

/**
 * Makes a new root and goes over to it, with both trusted: the new certificate enters the bundle (files and Vault), the bundle is delivered, the
 * intermediate of the same key is signed by the new root, and the new root becomes the one that signs. What the old one signed stays
 * valid until `retireRoot`, and until then a repeated call changes nothing. Killed at any step and called again, it goes on with the same
 * new root. Throws what `ensurePki` and `deliver` throw.
 */
export async function rotateRoot(options: RotateRootOptions): Promise<RotationReport> {
  const { directory, passphrase } = options;
  const step = options.onStep ?? (() => undefined);
  await using _lease = await leaseOf(directory, 'rotateRoot');
  let { state } = await openRoot({ directory });
  const [lastRetiring] = state.retiring;
  if (state.next === undefined && lastRetiring !== undefined) {
    // Gone over already: whoever repeats the call after a crash must not get a third root.
    const root = await openRoot({ directory, passphrase });
    return { root, previousId: lastRetiring.id, pki: await ensurePki({ ...options, root }) };
  }
  const previousId = state.active;
  if (state.next === undefined) {
    await removeUnnamedRoots(directory, state);
    const secret = typeof passphrase === 'function' ? await passphrase() : passphrase;
    const now = options.now?.();
    const next = await makeRootFiles(directory, {
      ...options.newRoot,
      passphrase: secret,
      ...(now === undefined ? {} : { now }),
    });
    step('root-made');
    state = { ...state, next };
    await writeRootState(directory, state);
    step('trusted');
  }
  const next = state.next ?? previousId;
  // The old root still signs: only the bundle in Vault changes here, for which no passphrase is needed.
  const pkiOptions = { ...options, root: await rootOf({ directory, state, id: previousId, passphrase }) };
  const bundle = await ensureBundle(directory, state);
  await ensurePki(pkiOptions);
  step('published');
  await options.deliver?.({ caBundlePem: bundle, bundlePath: join(directory, 'ca.crt') });
  step('delivered');
  const pki = await ensurePki({ ...options, root: await rootOf({ directory, state, id: next, passphrase }) });
  step('intermediate-signed');
  const since = (options.now?.() ?? new Date()).toISOString();
  const switched: RootState = {
    version: 1,
    active: next,
    retiring: [...state.retiring, { id: previousId, since }],
  };
  await writeRootState(directory, switched);
  step('switched');
  return { root: await openRoot({ directory, passphrase }), previousId, pki };
}

export interface RetireRootOptions extends Omit<EnsurePkiOptions, 'root'> {
  readonly directory: string;
  /** Certificates that are in use, each with its chain in PEM: none may depend on a root that goes. */
  readonly inUse: readonly { readonly service: string; readonly chainPem: string }[];
  /** Whether to go on although some do: they are refused from then on. */
  readonly force?: boolean;
  readonly onStep?: (step: RotationStep) => void;
}

export interface RetirementReport {
  readonly retired: readonly string[];
  readonly root: RootAuthority;
  readonly pki: PkiReport;
}

/**
 * Ends the overlap: the old roots leave the bundle and Vault, and their keys are removed. Needs no passphrase. Nothing changes when none is
 * retiring. Throws `ROOT_STILL_USED` with the services whose certificates only an old root vouches for.
 */
export async function retireRoot(options: RetireRootOptions): Promise<RetirementReport> {
  const { directory } = options;
  await using _lease = await leaseOf(directory, 'retireRoot');
  const { state } = await openRoot({ directory });
  const retired = state.retiring.map(({ id }) => id);
  if (options.force !== true) await refuseUsed(options, state);
  const { retiring: _gone, ...kept } = state;
  if (retired.length > 0) await writeRootState(directory, { ...kept, retiring: [] });
  options.onStep?.('trusted');
  const root = await openRoot({ directory });
  const pki = await ensurePki({ ...options, root });
  options.onStep?.('published');
  await removeUnnamedRoots(directory, root.state);
  options.onStep?.('retired');
  return { retired, root, pki };
}

async function refuseUsed({ directory, inUse }: RetireRootOptions, state: RootState): Promise<void> {
  const remaining = [state.active, ...(state.next === undefined ? [] : [state.next])];
  const roots = await Promise.all(
    remaining.map(async (id) => new X509Certificate(await readRootCertificate(directory, id))),
  );
  const users = inUse
    .filter(({ service, chainPem }) => {
      const last = parseCertificates(chainPem, `The chain of ${service}`).at(-1);
      return last !== undefined && !roots.some((root) => isIssuedBy(last, root));
    })
    .map(({ service }) => service);
  if (users.length === 0) return;
  throw new DevstackError({
    code: CertificatesErrorCode.rootStillUsed,
    message: `The old root cannot go yet: only it vouches for the certificates of ${users.join(', ')}.`,
    hint: 'Renew those with force, then retire the old root.',
    details: { services: users, retiring: state.retiring.map(({ id }) => id) },
  });
}

function leaseOf(directory: string, owner: string): ReturnType<typeof acquireLease> {
  return acquireLease({ path: join(directory, 'lease'), owner, waitMs: 30_000 });
}
