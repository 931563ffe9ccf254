import { createHash } from 'node:crypto';

/** A stable id: the same rule, subject and distinguishing parts give the same id on every machine. Never pass a secret or a line number. */
export function findingId(ruleId: string, subject: string, ...parts: readonly string[]): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([ruleId, subject, ...parts]))
    .digest('hex');
  return `${ruleId}-${digest.slice(0, 16)}`;
}
