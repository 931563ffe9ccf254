/** The codes that this package throws; the README says what to do about each. */
export const StackErrorCode = {
  projectInvalid: 'PROJECT_INVALID',
  noFreeSubnet: 'NO_FREE_SUBNET',
  portTaken: 'PORT_TAKEN',
  imageMissing: 'IMAGE_MISSING',
  imageBuildFailed: 'IMAGE_BUILD_FAILED',
  vaultNotReady: 'VAULT_NOT_READY',
  notHealthy: 'NOT_HEALTHY',
  unknownService: 'UNKNOWN_SERVICE',
  networkInUse: 'NETWORK_IN_USE',
  redisClusterBroken: 'REDIS_CLUSTER_BROKEN',
  certificateNotRenewed: 'CERTIFICATE_NOT_RENEWED',
  stackNotRunning: 'STACK_NOT_RUNNING',
} as const;
