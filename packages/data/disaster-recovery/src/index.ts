export { DisasterRecoveryErrorCode } from './errors.ts';
