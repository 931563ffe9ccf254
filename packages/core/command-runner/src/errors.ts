/** The codes of the errors that this package throws. */
export const CommandRunnerErrorCode = {
  commandFailed: 'COMMAND_FAILED',
  commandNotFound: 'COMMAND_NOT_FOUND',
  commandNotStarted: 'COMMAND_NOT_STARTED',
  commandTimedOut: 'COMMAND_TIMED_OUT',
  commandOutputTooLarge: 'COMMAND_OUTPUT_TOO_LARGE',
} as const;
