/** What Vault and OpenBao mean by an error text, as `details.reason` of an error. The texts come from their sources. */
export type KnownReason =
  | 'already-in-use'
  | 'already-initialized'
  | 'bad-key'
  | 'cas-mismatch'
  | 'gone'
  | 'half-initialized'
  | 'no-such-issuer'
  | 'not-active'
  | 'other-keys'
  | 'preparing'
  | 'wrong-address';

const known: readonly { readonly reason: KnownReason; readonly path?: RegExp; readonly text: RegExp }[] = [
  { reason: 'already-in-use', path: /^sys\//, text: /already in use/i },
  { reason: 'already-initialized', path: /^sys\/init$/, text: /already initialized/i },
  // Anything that Vault refuses about a key, from its length to the decryption that fails with it.
  { reason: 'bad-key', path: /^sys\/unseal$/, text: /key|decrypt|authentication failed/i },
  { reason: 'cas-mismatch', text: /check-and-set/i },
  {
    reason: 'gone',
    path: /^auth\//,
    text: /failed to find (the )?accessor|does not exist|invalid (secret id|accessor)/i,
  },
  // An initialisation that was cut off between its two writes to storage.
  { reason: 'half-initialized', path: /^sys\//, text: /barrier reports initialized but no seal configuration/i },
  {
    reason: 'no-such-issuer',
    path: /\/(issuer|key)\//,
    text: /unable to find PKI (issuer|key) for reference|no default issuer currently configured/i,
  },
  { reason: 'preparing', text: /Upgrading from non-versioned/i },
  { reason: 'not-active', text: /node not active|in standby mode/i },
  {
    reason: 'other-keys',
    path: /^sys\/storage\/raft\//,
    text: /could not verify hash file|different set of unseal keys/i,
  },
  { reason: 'wrong-address', text: /CIDR restrictions/i },
];

/** Undefined for a text that means nothing special. */
export function knownReason(path: string, texts: readonly string[]): KnownReason | undefined {
  const text = texts.join('\n');
  return known.find((entry) => (entry.path ?? /./).test(path) && entry.text.test(text))?.reason;
}
