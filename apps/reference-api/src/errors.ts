/** The codes of the errors that this app makes itself. */
export const ReferenceApiErrorCode = {
  settingInvalid: 'SETTING_INVALID',
  credentialsPending: 'CREDENTIALS_PENDING',
  credentialsIncomplete: 'CREDENTIALS_INCOMPLETE',
  backendUnavailable: 'BACKEND_UNAVAILABLE',
} as const;
