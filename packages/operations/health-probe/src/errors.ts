/** Codes of the errors that this package throws. A service that is not healthy is a value, not an error; an aborted signal gives `INTERRUPTED`. */
export const HealthProbeErrorCode = {
  /** `protocol` names none that this package can speak. */
  protocolUnknown: 'PROBE_PROTOCOL_UNKNOWN',
  /** A probe needs a credential that was not handed in; `details.field` names it. */
  credentialMissing: 'PROBE_CREDENTIAL_MISSING',
  /** `waitHealthy` reached its deadline; message and details name what was waited for. */
  deadlineExceeded: 'HEALTH_DEADLINE_EXCEEDED',
} as const;
