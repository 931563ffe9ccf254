import { readFileSync } from 'node:fs';

/** The name and version that reports carry. */
export function thisTool(): { readonly name: string; readonly version: string } {
  const name = 'network-audit';
  try {
    const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
      version?: string;
    };
    return { name, version: manifest.version ?? '0.0.0' };
  } catch {
    // Bundled into a program that lies elsewhere.
    return { name, version: '0.0.0' };
  }
}
