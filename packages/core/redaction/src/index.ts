export { Secret, isSecret, secret, type Revealable } from './secret.ts';
export { SecretRegistry, minimumScannableLength, type Needle, type SecretOccurrence } from './secret-registry.ts';
export { encodedForms, type EncodedForm } from './encoded-forms.ts';
export { redactStream } from './redact-stream.ts';
export { NeedleScanner, type NeedleMatch } from './needle-scanner.ts';
export { mask } from './mask.ts';
