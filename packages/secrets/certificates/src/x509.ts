import { webcrypto } from 'node:crypto';

/** What we use of @peculiar/x509. It is loaded at the first signature: status, probes and renewals that are not due never pay for it. */
export type X509Library = typeof import('@peculiar/x509');

let loading: Promise<X509Library> | undefined;

export function x509Library(): Promise<X509Library> {
  loading ??= load();
  return loading;
}

async function load(): Promise<X509Library> {
  // The library's own container of services needs the polyfill to be there first.
  await import('reflect-metadata');
  const library = await import('@peculiar/x509');
  library.cryptoProvider.set(webcrypto);
  return library;
}
