import { Secret } from '@devstack-core/redaction';
import { DevstackError } from '@devstack-core/errors';
import { VaultErrorCode } from '../errors.ts';
import { fields, number, optionalText, means, text, texts, type Fields, type Send } from './send.ts';

/** What Vault says of itself without a token. */
export interface SealState {
  readonly initialized: boolean;
  readonly sealed: boolean;
  readonly standby: boolean;
  readonly version: string;
  /** Known while unsealed. */
  readonly clusterName?: string;
  readonly clusterId?: string;
}

/** How far an unseal is. */
export interface SealStatus {
  readonly initialized: boolean;
  readonly sealed: boolean;
  readonly shares: number;
  readonly threshold: number;
  /** Keys given so far in this attempt. */
  readonly progress: number;
  readonly version: string;
  readonly storageType: string;
  readonly clusterName?: string;
  readonly clusterId?: string;
}

/** What an initialisation gives, once. */
export interface InitResult {
  /** Hexadecimal. */
  readonly keys: readonly Secret[];
  readonly keysBase64: readonly Secret[];
  readonly rootToken: Secret;
}

/** Per-call patience; `{deadlineMs: 0}` asks once. */
export interface Patience {
  readonly deadlineMs?: number;
  readonly timeoutMs?: number;
}

/** Calls that need no token. */
export interface SysCalls {
  /** Never throws for a sealed, standby or uninitialised Vault; `VAULT_UNREACHABLE` after the deadline otherwise. */
  health(patience?: Patience): Promise<SealState>;
  sealStatus(patience?: Patience): Promise<SealStatus>;
  /** Sent once: an answer that got lost is `VAULT_UNREACHABLE` with details `outcome: "unknown"`. `VAULT_ALREADY_INITIALIZED` where it was. */
  init(options: { shares: number; threshold: number }): Promise<InitResult>;
  /** Gives one key (hexadecimal or base64); `reset` forgets the keys given so far first. `VAULT_BAD_CREDENTIALS` for keys of another Vault. */
  unseal(key: Secret, options?: { reset?: boolean }): Promise<SealStatus>;
  /** Needs a token that may. */
  seal(): Promise<void>;
  /** A raft snapshot: a gzip archive, encrypted by Vault's own barrier. */
  snapshot(patience?: Patience): Promise<Uint8Array<ArrayBuffer>>;
  /** `force` accepts the snapshot of another cluster: afterwards that cluster's unseal keys are the right ones. */
  restoreSnapshot(snapshot: Uint8Array, options?: { force?: boolean } & Patience): Promise<void>;
}

/** Snapshots are as large as the data. */
const snapshotTimeoutMs = 300_000;
/** The first write to slow storage, and handing raft over before a seal. */
const slowTimeoutMs = 60_000;

export function sysCalls(send: Send): SysCalls {
  return {
    async health(patience = {}) {
      const query = 'standbyok=true&perfstandbyok=true&sealedcode=200&uninitcode=200&drsecondarycode=200';
      const { body } = await send({ method: 'GET', path: `sys/health?${query}`, worksSealed: true, ...patience });
      const state = fields(body);
      return {
        initialized: state['initialized'] === true,
        sealed: state['sealed'] !== false,
        standby: state['standby'] === true,
        version: text(state['version']),
        ...cluster(state),
      };
    },

    async sealStatus(patience = {}) {
      return sealStatusOf(
        (await send({ method: 'GET', path: 'sys/seal-status', worksSealed: true, ...patience })).body,
      );
    },

    async init({ shares, threshold }) {
      try {
        const { body } = await send({
          method: 'POST',
          path: 'sys/init',
          json: { secret_shares: shares, secret_threshold: threshold },
          worksSealed: true,
          repeatable: false,
          timeoutMs: slowTimeoutMs,
        });
        const result = fields(body);
        return {
          keys: texts(result['keys']).map((key) => new Secret(key)),
          keysBase64: texts(result['keys_base64']).map((key) => new Secret(key)),
          rootToken: new Secret(text(result['root_token'])),
        };
      } catch (error) {
        if (!means(error, 'already-initialized')) throw error;
        throw new DevstackError({
          code: VaultErrorCode.alreadyInitialized,
          message: 'This Vault is initialised already.',
          hint: 'Unseal it with the keys of its first initialisation.',
        });
      }
    },

    async unseal(key, options = {}) {
      const call = { method: 'POST', path: 'sys/unseal', worksSealed: true, repeatable: true } as const;
      if (options.reset === true) await send({ ...call, json: { reset: true } });
      try {
        return sealStatusOf((await send({ ...call, json: { key } })).body);
      } catch (error) {
        if (!means(error, 'bad-key')) throw error;
        throw new DevstackError({
          code: VaultErrorCode.badCredentials,
          message: 'Vault does not accept this unseal key.',
          hint: 'Check that the keys are those of this Vault and not of an earlier one.',
          details: { path: 'sys/unseal' },
        });
      }
    },

    async seal() {
      await send({ method: 'POST', path: 'sys/seal', repeatable: false, timeoutMs: slowTimeoutMs });
    },

    async snapshot(patience = {}) {
      const { body } = await send({
        method: 'GET',
        path: 'sys/storage/raft/snapshot',
        binary: true,
        timeoutMs: snapshotTimeoutMs,
        ...patience,
      });
      return body as Uint8Array<ArrayBuffer>;
    },

    async restoreSnapshot(snapshot, { force = false, ...patience } = {}) {
      const path = `sys/storage/raft/snapshot${force ? '-force' : ''}`;
      await send({
        method: 'POST',
        path,
        body: snapshot,
        repeatable: false,
        timeoutMs: snapshotTimeoutMs,
        ...patience,
      });
    },
  };
}

function sealStatusOf(body: unknown): SealStatus {
  const status = fields(body);
  return {
    initialized: status['initialized'] === true,
    sealed: status['sealed'] !== false,
    shares: number(status['n']),
    threshold: number(status['t']),
    progress: number(status['progress']),
    version: text(status['version']),
    storageType: text(status['storage_type']),
    ...cluster(status),
  };
}

function cluster(state: Fields): { clusterName?: string; clusterId?: string } {
  const clusterName = optionalText(state['cluster_name']);
  const clusterId = optionalText(state['cluster_id']);
  return { ...(clusterName === undefined ? {} : { clusterName }), ...(clusterId === undefined ? {} : { clusterId }) };
}
