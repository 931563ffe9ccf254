export {
  DevstackError,
  isDevstackError,
  type DevstackErrorOptions,
  type SerializedDevstackError,
} from './devstack-error.ts';
export { ExitCode, exitCodeFor } from './exit-codes.ts';
export { abortReason, interrupted } from './interruption.ts';
