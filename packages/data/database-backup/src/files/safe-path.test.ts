import { describe, expect, it } from 'vitest';
import { ArchiveGuard } from './safe-path.ts';
import type { TarEntry } from './tar-scanner.ts';

type Member = Pick<TarEntry, 'path' | 'type' | 'link'>;

const file = (path: string): Member => ({ path, type: 'file', link: '' });
const folder = (path: string): Member => ({ path, type: 'directory', link: '' });
const symlink = (path: string, link: string): Member => ({ path, type: 'symlink', link });
const hex = (text: string): string => `hex:${Buffer.from(text, 'latin1').toString('hex')}`;

function check(strict: boolean, ...members: readonly Member[]): void {
  const guard = new ArchiveGuard({ strict });
  for (const member of members) guard.check(member);
}

describe('files of this machine', () => {
  it.each<[string, readonly Member[]]>([
    ['an absolute path', [file('/etc/passwd')]],
    ['a path that climbs', [file('config/../../etc/passwd')]],
    ['the folder above', [file('..')]],
    ['no name', [file('')]],
    ['an empty segment', [file('config//a')]],
    ['a zero byte', [file('config/a\0b')]],
    ['a backslash', [file('config\\..\\a')]],
    ['a drive letter', [file('C:/windows')]],
    ['a segment of 256 bytes', [file(`config/${'é'.repeat(128)}`)]],
    ['bytes that are no text', [file(hex('config/\xff'))]],
    ['a device', [{ path: 'config/null', type: 'device', link: '' }]],
    ['a pipe', [{ path: 'config/pipe', type: 'fifo', link: '' }]],
    ['a hard link', [file('config/a'), { path: 'config/b', type: 'hardlink', link: 'config/a' }]],
    ['a link to an absolute path', [symlink('config/a', '/etc/passwd')]],
    ['a link that climbs out', [symlink('config/a', '../other')]],
    ['a link that climbs out after a detour', [symlink('config/a', 'b/../../../etc')]],
    ['a link that climbs from where another leads', [symlink('config/a', 'p/q/r/../../..')]],
    ['a link to nothing', [symlink('config/a', '')]],
    ['a file behind a link', [symlink('config/a', 'b'), file('config/a/passwd')]],
    ['a file under a file', [file('config/a'), file('config/a/b')]],
    ['the same twice', [file('config/a'), file('config/a')]],
    ['a link over a file', [file('config/a'), symlink('config/a', 'b')]],
    ['names that differ in case alone', [file('config/README'), file('config/readme')]],
    ['names that differ in composition alone', [file('config/\u00e9'), file('config/e\u0301')]],
    ['folders that differ in case alone', [folder('config/A'), folder('config/a')]],
  ])('are not restored from %s', (_what, members) => {
    expect(() => {
      check(true, ...members);
    }).toThrow(/member/);
  });

  it('are restored from what stays inside', () => {
    check(
      true,
      folder('config'),
      folder('config/certs'),
      file('config/certs/2026.pem'),
      symlink('config/certs/current.pem', '2026.pem'),
      symlink('config/certs/up', '../.env'),
      file('config/.env'),
      file('config/a..b'),
      file('config/leer ünd 日本'),
    );
  });
});

describe('a volume', () => {
  it('may hold what only its own programs read', () => {
    check(
      false,
      folder('.'),
      file('README'),
      file('readme'),
      symlink('absolute', '/etc/passwd'),
      { path: 'pipe', type: 'fifo', link: '' },
      { path: 'second', type: 'hardlink', link: './README' },
      file(hex('raw-\xff')),
    );
  });

  it.each<[string, readonly Member[]]>([
    ['a path that climbs', [file('a/../../b')]],
    ['a path of bytes that climbs', [file(hex('\xff/../../b'))]],
    ['an absolute path', [file('/b')]],
    ['a file behind a link', [symlink('a', '/etc'), file('a/passwd')]],
    ['a hard link to elsewhere', [{ path: 'a', type: 'hardlink', link: '/etc/passwd' }]],
    ['a hard link through a link', [symlink('l', '/etc'), { path: 'a', type: 'hardlink', link: 'l/passwd' }]],
    ['a device', [{ path: 'sda', type: 'device', link: '' }]],
  ])('is not filled from %s', (_what, members) => {
    expect(() => {
      check(false, ...members);
    }).toThrow(/member/);
  });
});
