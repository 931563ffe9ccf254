import { DevstackError } from '@devstack-core/errors';
import type { Secret } from '@devstack-core/redaction';
import { readServiceSecret } from '@devstack-core/service-secrets';
import { operatorSession, type Stack } from '@devstack-core/stack-lifecycle';

/** A service's own user and password, read as `operator`; the token is gone when this returns. */
export async function serviceCredentials(
  stack: Stack,
  service: string,
): Promise<{ readonly username: string; readonly password: Secret; readonly database: string | undefined }> {
  const role = stack.model.service(service).role ?? service;
  await using session = await operatorSession(stack);
  const secret = await readServiceSecret(session.client, role);
  const [username, password] = [secret?.['username'], secret?.['password']];
  if (username === undefined || password === undefined) {
    throw new DevstackError({
      code: 'NO_CREDENTIALS',
      message: `Vault has no username and password for ${role}.`,
      hint: 'Run: devstack vault bootstrap --force',
    });
  }
  return { username: username.reveal(), password, database: secret?.['database']?.reveal() };
}
