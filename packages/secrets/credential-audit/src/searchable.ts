import { minimumScannableLength } from '@devstack-core/redaction';
import type { CredentialNeedle } from './needles.ts';

/** A value that is not searched for. */
export interface UnsearchableNeedle {
  readonly label: string;
  readonly field: string | undefined;
  /** For a person; never the value. */
  readonly reason: string;
  /** True where it may be a secret all the same, so that an audit without it is not complete. */
  readonly mayBeSecret: boolean;
}

/** Why a value cannot be searched for; undefined where it can. */
export function whyNotSearchable({
  value,
  field,
  label,
  username,
}: CredentialNeedle): Pick<UnsearchableNeedle, 'reason' | 'mayBeSecret'> | undefined {
  const text: unknown = value.reveal();
  // An address may carry a password.
  const mayBeSecret = field === undefined || !publicField.test(field) || /:\/\/[^/\s]*:[^/\s]*@/.test(String(text));
  if (typeof text !== 'string') return { reason: 'it is no text', mayBeSecret };
  if (text === '') return { reason: 'it is empty', mayBeSecret: false };
  if (!mayBeSecret) return { reason: `the field ${field} is a name or an address, which is public`, mayBeSecret };
  const isNamedSecret = field === undefined || secretField.test(field);
  if (/^(true|false|yes|no|on|off|enabled|disabled|null|none)$/i.test(text))
    return { reason: 'it is a switch, which would be found everywhere', mayBeSecret: isNamedSecret };
  if (/^[\d.:_-]+$/.test(text) && text.length < 12)
    return { reason: 'it is a short number, which would be found everywhere', mayBeSecret: isNamedSecret };
  if (Buffer.byteLength(text) < minimumScannableLength) {
    const reason = `it is shorter than ${String(minimumScannableLength)} bytes, which would be found by chance`;
    return { reason, mayBeSecret: isNamedSecret };
  }
  const isCommon = commonWords.has(text.toLowerCase()) || text === username || label.split('/').includes(text);
  if (isCommon || new Set(text).size < 4)
    return { reason: 'it is too common a text: it would be found everywhere', mayBeSecret: isNamedSecret };
  return undefined;
}

const publicField =
  /(^|[_-])(user(_?name)?|role|host(_?name)?|port|database|db(_?name)?|vhost|name|url|uri|address|endpoint|engine|email|created|updated|expires)(_?at)?$/i;
const secretField = /pass|secret|token|key|cookie|credential|private|pin$|salt|seed/i;
const commonWords = new Set(
  'password passwort changeme changeit postgres postgresql mariadb rabbitmq devstack localhost 127.0.0.1 localhost.localdomain administrator undefined default application database username production development prometheus alertmanager reference-api reference_api container'.split(
    ' ',
  ),
);
