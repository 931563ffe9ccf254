import { access, constants, stat } from 'node:fs/promises';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { searchPath } from './environment.ts';

/** The absolute path of a program as the search path has it (that of this process unless given), or undefined. */
export async function which(program: string, { path }: { readonly path?: string } = {}): Promise<string | undefined> {
  if (program.includes('/')) return (await isExecutable(program)) ? resolve(program) : undefined;
  for (const folder of (path ?? searchPath()).split(delimiter)) {
    const candidate = join(folder, program);
    if (isAbsolute(folder) && (await isExecutable(candidate))) return candidate;
  }
  return undefined;
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}
