/** The codes of the errors that this package throws. */
export const VaultAppRoleErrorCode = {
  /** Roles, consumers or policies contradict each other; nothing was done. */
  inputInvalid: 'BOOTSTRAP_INPUT_INVALID',
  /** Vault is not as it was just told to be: something else changes it at the same time. */
  notConverged: 'BOOTSTRAP_NOT_CONVERGED',
  /** `role-id`, `secret-id` or `token` is not there. */
  fileMissing: 'APPROLE_FILE_MISSING',
  /** It is there, but empty. */
  fileEmpty: 'APPROLE_FILE_EMPTY',
  /** Two policy files name one role, or there is none at all. */
  policiesInvalid: 'POLICIES_INVALID',
  /** A new secret_id was not delivered; the old one still works. */
  notDelivered: 'SECRET_ID_NOT_DELIVERED',
} as const;
