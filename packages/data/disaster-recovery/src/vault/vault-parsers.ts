import { DevstackError } from '@devstack-core/errors';
import type { Parser } from '@devstack-core/backup-verification';
import { checkSnapshot } from '@devstack-core/vault-lifecycle';

/** A raft snapshot: a gzip archive with checksums of its own. */
const parseSnapshot: Parser = async (content) => {
  const pieces: Uint8Array[] = [];
  for await (const piece of content) pieces.push(piece);
  try {
    const { raftIndex } = checkSnapshot(Buffer.concat(pieces));
    return { format: `Vault raft snapshot at index ${String(raftIndex)}`, entries: 1 };
  } catch (error) {
    throw new DevstackError({
      code: 'ARTIFACT_MALFORMED',
      message: error instanceof Error ? error.message : String(error),
      hint: 'It was broken before it was encrypted: make a new backup and look why.',
    });
  }
};

/** For `verifySet`: what the Vault parts of a set look like. */
export const vaultParsers: Readonly<Record<string, Parser>> = { 'vault-raft': parseSnapshot };
