import { readPrivateFile } from '@devstack-core/durable-files';
import { DevstackError, isDevstackError } from '@devstack-core/errors';

/** A file of the checkout that an audit holds things against. Without it nothing would be accepted, or everything: so it must be there. */
export async function readDeclared(path: string): Promise<string> {
  try {
    return (await readPrivateFile(path, { requireMode: false })).reveal();
  } catch (error) {
    if (!isDevstackError(error)) throw error;
    throw new DevstackError({
      code: error.code,
      message: error.message,
      hint: `The audit compares with it. Put it back: git checkout -- ${path}`,
      cause: error,
      details: error.details,
    });
  }
}
