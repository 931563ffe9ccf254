/** The codes of the errors that this app makes itself. */
export const ReferenceApiErrorCode = {
  settingInvalid: 'SETTING_INVALID',
  credentialsPending: 'CREDENTIALS_PENDING',
  credentialsIncomplete: 'CREDENTIALS_INCOMPLETE',
  rootsUnreadable: 'ROOTS_UNREADABLE',
  certificatePending: 'CERTIFICATE_PENDING',
  backendUnavailable: 'BACKEND_UNAVAILABLE',
} as const;
