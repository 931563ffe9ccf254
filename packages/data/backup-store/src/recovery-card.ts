import type { ArtifactRecord, PartRecord, SetManifest } from './manifest.ts';
import { ownArtifacts } from './manifest.ts';

/** The checksums of the files in a set's folder, as `sha256sum -c` reads them. */
export function checksumsText(artifacts: readonly ArtifactRecord[]): string {
  return artifacts.map(({ cipher, file }) => `${cipher.sha256}  ${file}\n`).join('');
}

/**
 * The recovery card: how to bring every part back with what Debian has (coreutils, gnupg, zstd) and the engines' own tools, without this program.
 * The passphrase is not in it, and never is.
 */
export function recoveryCard(manifest: SetManifest): string {
  const { id, project, createdAt, timeZone, tool, encrypted, kind, parent } = manifest;
  const own = ownArtifacts(manifest);
  const held = manifest.artifacts.filter(({ heldBy }) => heldBy !== null);
  return [
    `# Backup ${id}`,
    '',
    `Project ${code(project)}, begun ${createdAt} (${timeZone}), ${kind}${parent === null ? '' : `, upon ${parent}`}, written by ${tool.name} ${tool.version}.`,
    encrypted
      ? 'Each artifact is compressed by zstd and encrypted by OpenPGP with one passphrase, which is not written down here.'
      : '**Nothing here is encrypted**: who can read these files has all the data, the passwords among it.',
    '',
    '## 1. Tools',
    '',
    block(`apt-get install --yes coreutils${encrypted ? ' gnupg' : ''} zstd`),
    '## 2. Are the files whole?',
    '',
    'In this folder. Every line must say OK. This finds damage, not forgery.',
    '',
    block('sha256sum -c SHA256SUMS'),
    ...(held.length > 0 ? heldSection(held) : []),
    `## 3. ${encrypted ? 'Decrypt' : 'Decompress'}`,
    '',
    ...(encrypted ? [...decryptSection(own), ...privateKeySection(manifest)] : plainSection(own)),
    '## 4. Bring each part back',
    '',
    'Into an engine of the same name, and of the same or a newer version. In this order.',
    '',
    ...manifest.parts.flatMap((part) => partSection(part, manifest)),
  ].join('\n');
}

/** The name of the plain file that the card makes of an artifact's. */
export function plainFile(file: string): string {
  return file.replace(/\.zst(\.gpg)?$/, '');
}

function heldSection(held: readonly ArtifactRecord[]): string[] {
  return [
    'What has not changed since an earlier backup is in that one’s folder, which is needed too:',
    '',
    ...held.map(({ name, heldBy, file }) => `- ${code(name)} is ${code(`../${heldBy ?? ''}/${file}`)}`),
    '',
    'Check those folders in the same way. After a change of the passphrase a file there may be called `….r2.zst.gpg` instead.',
    '',
  ];
}

function decryptSection(own: readonly ArtifactRecord[]): string[] {
  return [
    'Put the passphrase into a file that only you can read, for the time being: its first line counts. Then, in this folder:',
    '',
    block(
      [
        'umask 077; mkdir -p plain',
        'for file in *.zst.gpg; do',
        '  gpg --batch --pinentry-mode loopback --passphrase-file PASSPHRASE-FILE --output "plain/${file%.gpg}" --decrypt "$file" || { echo "DAMAGED: $file"; rm -f "plain/${file%.gpg}"; continue; }',
        '  zstd --quiet --rm --decompress "plain/${file%.gpg}" || echo "DAMAGED: $file"',
        'done',
      ].join('\n'),
    ),
    'Use nothing of a file that was reported as damaged: gpg writes it out before it knows. One file alone, on one line:',
    '',
    block(
      `gpg --decrypt ${own[0]?.file ?? 'FILE.zst.gpg'} > plain.zst && zstd --decompress plain.zst -o ${plainFile(own[0]?.file ?? 'FILE')}`,
    ),
  ];
}

function privateKeySection({ recipients = [] }: SetManifest): string[] {
  if (recipients.length === 0) return [];
  return [
    'Or without the passphrase, with the private key of one of these, where gpg has it:',
    '',
    ...recipients.map(({ fingerprint }) => `- ${code(fingerprint)}`),
    '',
    // Each file can be opened by the passphrase as well, and gpg asks for that one first: it is cancelled, which leaves the key.
    'The first line unlocks the key, and gpg asks for its own passphrase there; put its fingerprint in the place of YOUR-KEY.',
    '',
    block(
      [
        'echo unlocked | gpg --trust-model always --encrypt --recipient YOUR-KEY | gpg --decrypt',
        'umask 077; mkdir -p plain',
        'for file in *.zst.gpg; do',
        '  gpg --pinentry-mode cancel --output "plain/${file%.gpg}" --decrypt "$file" || { echo "DAMAGED: $file"; rm -f "plain/${file%.gpg}"; continue; }',
        '  zstd --quiet --rm --decompress "plain/${file%.gpg}" || echo "DAMAGED: $file"',
        'done',
      ].join('\n'),
    ),
    'A private key opens the files; who wrote them only the passphrase proves.',
    '',
  ];
}

function plainSection(own: readonly ArtifactRecord[]): string[] {
  return [
    block(
      [
        'umask 077; mkdir -p plain',
        'for file in *.zst; do zstd --quiet --decompress "$file" -o "plain/${file%.zst}" || echo "DAMAGED: $file"; done',
      ].join('\n'),
    ),
    ...(own.length === 0 ? ['This folder holds no artifact of its own.', ''] : []),
  ];
}

function partSection(part: PartRecord, manifest: SetManifest): string[] {
  const { service, name, kind, engine, consistency, consistencyReason, snapshotAt, restoreHint } = part;
  const files = manifest.artifacts.filter((artifact) => artifact.service === service && artifact.part === name);
  return [
    `### ${line(service)}: ${code(name)}`,
    '',
    `${line(kind)} of ${line(engine.name)} ${line(engine.version)} (image ${code(engine.image.name)}), as of ${snapshotAt}${
      consistency === 'exact' ? '' : `, approximately: ${line(consistencyReason ?? '')}`
    }.`,
    '',
    ...files.map(({ kind: holds, file, heldBy }) => {
      const where = heldBy === null ? `plain/${plainFile(file)}` : `../${heldBy}/plain/${plainFile(file)}`;
      return `- ${line(holds)}: ${code(where)}`;
    }),
    '',
    ...(restoreHint.length > 0 ? [block(restoreHint.map(line).join('\n'))] : []),
  ];
}

function block(text: string): string {
  // A fence longer than any in the text: names are anybody's.
  const fence = '`'.repeat(Math.max(3, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length + 1)));
  return `${fence}sh\n${text}\n${fence}\n`;
}

function code(text: string): string {
  return `\`${line(text).replaceAll('`', "'")}\``;
}

// One line each: what names are made of must not become a heading or a command of its own.
function line(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ');
}
