import { readFileSync } from 'node:fs';

/** What made a report. */
export interface AuditTool {
  readonly name: string;
  readonly version: string;
}

const unknownVersion = '0.0.0';

/**
 * The tool of a report, with the version of the package that the module is in: `toolOf('my-audit', import.meta.url)`. Of a module that was
 * bundled into a program it is the program's version; `0.0.0` where no package says one.
 */
export function toolOf(name: string, moduleUrl: string): AuditTool {
  if (!moduleUrl.startsWith('file:')) return { name, version: unknownVersion };
  let folder = new URL('./', moduleUrl);
  for (;;) {
    const version = versionIn(folder);
    if (version !== undefined) return { name, version };
    const above = new URL('../', folder);
    if (above.href === folder.href) return { name, version: unknownVersion };
    folder = above;
  }
}

// A manifest without a version (`{ "type": "module" }` beside built files) is no package's own.
function versionIn(folder: URL): string | undefined {
  try {
    const manifest = JSON.parse(readFileSync(new URL('package.json', folder), 'utf8')) as {
      readonly version?: unknown;
    };
    return typeof manifest.version === 'string' && manifest.version !== '' ? manifest.version : undefined;
  } catch {
    return undefined;
  }
}
