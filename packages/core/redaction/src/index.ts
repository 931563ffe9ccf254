export { Secret, isSecret, secret, type Revealable } from './secret.ts';
export { SecretRegistry } from './secret-registry.ts';
export { encodedForms } from './encoded-forms.ts';
export { redactStream } from './redact-stream.ts';
