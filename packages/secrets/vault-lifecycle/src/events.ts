/** What happens to a Vault, in order. Each is emitted when the step is finished and on the disk. */
export type VaultLifecycleEvent =
  | { readonly type: 'init-prepared' }
  | { readonly type: 'init-intent-written' }
  | { readonly type: 'init-committed'; readonly shares: number; readonly threshold: number }
  | { readonly type: 'root-token-written' }
  | { readonly type: 'keys-written'; readonly path: string }
  | { readonly type: 'init-finished' }
  | { readonly type: 'unseal-progress'; readonly given: number; readonly threshold: number }
  | { readonly type: 'unsealed' }
  | { readonly type: 'active' };

/** Told of each event. What it throws ends the work where it stands. */
export type OnVaultLifecycleEvent = (event: VaultLifecycleEvent) => void | Promise<void>;
