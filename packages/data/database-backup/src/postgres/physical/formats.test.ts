import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readBackupManifest } from './backup-manifest.ts';
import { TarWatcher } from './tar-watcher.ts';
import { isArchivedFile, isSegment, missingSegment, segmentOf, timelineOf } from './wal-segments.ts';

const megabytes16 = 16 * 1024 ** 2;

describe('segments of the log', () => {
  it.each([
    [1, '0/2000028', megabytes16, '000000010000000000000002'],
    [11, '1A/FF000000', megabytes16, '0000000B0000001A000000FF'],
    [1, '1/40000000', 1024 ** 3, '000000010000000100000001'],
  ])('of timeline %d at %s', (timeline, lsn, bytes, name) => {
    expect(segmentOf(timeline, lsn, bytes)).toBe(name);
  });

  it.each([
    ['nothing is there', [], undefined],
    ['all are there', ['000000010000000000000002', '000000010000000000000003', '000000010000000000000004'], undefined],
    ['the first came with the backup', ['000000010000000000000003'], undefined],
    ['one is missing', ['000000010000000000000003', '000000010000000000000005'], '000000010000000000000004'],
    ['the next is missing', ['000000010000000000000004'], '000000010000000000000003'],
    [
      'a timeline ended',
      ['000000010000000000000003', '000000020000000000000003', '000000020000000000000004'],
      undefined,
    ],
    [
      'they are of before',
      ['000000010000000000000001', '00000002.history', '000000010000000000000002.00000028.backup'],
      undefined,
    ],
  ])('when %s', (_what, names, missing) => {
    expect(missingSegment(names, '000000010000000000000002', megabytes16)).toBe(missing);
  });

  it('go on beyond a file of 256', () => {
    expect(missingSegment(['000000010000000100000001'], '0000000100000000000000FF', megabytes16)).toBe(
      '000000010000000100000000',
    );
    expect(missingSegment(['x'], 'no name', megabytes16)).toBeUndefined();
  });

  it.each([
    ['0000000A0000000000000002', 10, true],
    ['00000002.history', 2, false],
    ['000000010000000000000002.partial', 1, false],
    ['000000010000000000000002.00000028.backup', 1, false],
    ['archive_status', undefined, false],
    ['', undefined, false],
  ])('%s is of timeline %s', (name, timeline, isWhole) => {
    expect(timelineOf(name)).toBe(timeline);
    expect(isSegment(name)).toBe(isWhole);
  });

  it('are told from half-written copies', () => {
    expect(
      [
        '000000010000000000000002',
        '00000002.history',
        '000000010000000000000002.00000028.backup',
        '000000010000000000000002.partial',
      ].every(isArchivedFile),
    ).toBe(true);
    expect(['.000000010000000000000002.partial', 'x', '000000010000000000000002.tmp', ''].some(isArchivedFile)).toBe(
      false,
    );
  });
});

describe('the manifest of a backup', () => {
  const body = `{ "PostgreSQL-Backup-Manifest-Version": 2,
"System-Identifier": 7471234567890123456,
"Files": [
{ "Path": "backup_label", "Size": 227, "Last-Modified": "x", "Checksum-Algorithm": "SHA256", "Checksum": "00" },
{ "Encoded-Path": "ff", "Size": 1, "Last-Modified": "x" }
],
"WAL-Ranges": [
{ "Timeline": 3, "Start-LSN": "0/2000028", "End-LSN": "0/2000120" }
],
`;
  const whole = (text: string): Buffer =>
    Buffer.from(`${text}"Manifest-Checksum": "${createHash('sha256').update(text).digest('hex')}"}\n`);

  it('says whose it is and from where to where', () => {
    expect(readBackupManifest(whole(body))).toEqual({
      systemIdentifier: '7471234567890123456',
      timeline: 3,
      startLsn: '0/2000028',
      endLsn: '0/2000120',
      files: 2,
      digest: createHash('sha256').update(whole(body)).digest('hex'),
    });
  });

  it('is refused when it is damaged, cut or of another form', () => {
    const damaged = whole(body);
    damaged.writeUInt8(damaged.readUInt8(60) ^ 1, 60);
    expect(readBackupManifest(damaged)).toBeUndefined();
    expect(readBackupManifest(whole(body).subarray(0, 300))).toBeUndefined();
    expect(readBackupManifest(Buffer.alloc(0))).toBeUndefined();
    expect(readBackupManifest(whole(body.replace('"System-Identifier": 7471234567890123456,\n', '')))).toBeUndefined();
  });
});

describe('a tar archive that passes by', () => {
  const file = (name: string, content: string, isLarge = false): Buffer => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    if (isLarge) {
      header.writeUInt8(0x80, 124);
      header.writeBigUInt64BE(BigInt(content.length), 128);
    } else header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
    return Buffer.concat([header, Buffer.from(content), Buffer.alloc((512 - (content.length % 512)) % 512)]);
  };
  const archive = Buffer.concat([
    file('a', 'x'.repeat(700), true),
    file('empty', ''),
    file('wanted', 'this one'),
    file('b', 'y'.repeat(512)),
    Buffer.alloc(1024),
  ]);

  it.each([1, 100, 512, 5000])('in pieces of %d bytes gives the file', (size) => {
    const watcher = new TarWatcher('wanted');
    for (let at = 0; at < archive.length; at += size) watcher.push(archive.subarray(at, at + size));
    expect(watcher.kept?.toString()).toBe(Buffer.from('this one').toString());
    expect(watcher.isComplete).toBe(true);
  });

  it('is not complete when it was cut', () => {
    const watcher = new TarWatcher('wanted');
    watcher.push(archive.subarray(0, archive.length - 1024));
    expect(watcher.isComplete).toBe(false);
    const none = new TarWatcher('other');
    none.push(archive);
    expect(none.kept).toBeUndefined();
  });
});
