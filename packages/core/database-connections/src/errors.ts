/** Codes of the errors that this package throws. An aborted signal gives `INTERRUPTED`, of `@devstack-core/errors`. */
export const DatabaseConnectionsErrorCode = {
  /** Nothing listens there, or no route leads there. */
  refused: 'CONNECTION_REFUSED',
  /** The host name has no address. */
  hostUnknown: 'HOST_UNKNOWN',
  /** The server knows the user not, or not by this password, or not from here. */
  authenticationFailed: 'AUTHENTICATION_FAILED',
  /** No complete answer within the limit: to the login, or to a command where `commandTimeoutMs` is set. */
  timedOut: 'CONNECTION_TIMED_OUT',
  /** The connection ended while it was in use, or was closed before. */
  lost: 'CONNECTION_LOST',
  /** Something answered that does not speak this engine's protocol. */
  protocolMismatch: 'PROTOCOL_MISMATCH',
  /** TLS could not be agreed on, or the certificate is not trusted or of another name. */
  tlsFailed: 'TLS_FAILED',
  /** The server answered with an error; `details.serverCode` holds its own code. */
  database: 'DATABASE_ERROR',
} as const;
