import { createHash } from 'node:crypto';

/** What a `backup_manifest` says of the backup that it lists. */
export interface BackupManifest {
  /** Of the cluster, since its initdb. */
  readonly systemIdentifier: string;
  readonly timeline: number;
  /** Where the write-ahead log has to be read from and to, e.g. `0/2000028`. */
  readonly startLsn: string;
  readonly endLsn: string;
  readonly files: number;
  /** SHA-256 of the manifest itself, by which a link of a chain names its parent. */
  readonly digest: string;
}

/** Undefined when it is damaged, cut or of a form that is not known (PostgreSQL 17 and later). */
export function readBackupManifest(bytes: Uint8Array): BackupManifest | undefined {
  const text = Buffer.from(bytes).toString('utf8');
  // The last line is the checksum of all before it.
  const [body, checksum] = text.split(/(?=^"Manifest-Checksum": )/m);
  const told = /^"Manifest-Checksum": "([0-9a-f]{64})"\}\s*$/.exec(checksum ?? '')?.[1];
  if (body === undefined || told !== sha256(body)) return undefined;
  // Larger than a JavaScript number holds.
  const systemIdentifier = /"System-Identifier": (\d+)/.exec(body)?.[1];
  const range =
    /"WAL-Ranges": \[\s*\{ "Timeline": (\d+), "Start-LSN": "([0-9A-F]+\/[0-9A-F]+)", "End-LSN": "([0-9A-F]+\/[0-9A-F]+)" \}/.exec(
      body,
    );
  const [, timeline, startLsn, endLsn] = range ?? [];
  if (systemIdentifier === undefined || startLsn === undefined || endLsn === undefined) return undefined;
  return {
    systemIdentifier,
    timeline: Number(timeline),
    startLsn,
    endLsn,
    files: body.match(/^\{ "(?:Encoded-)?Path": /gm)?.length ?? 0,
    digest: sha256(text),
  };
}

function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}
