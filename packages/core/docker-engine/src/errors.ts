/** The codes that this package throws; the README says what to do about each. */
export const DockerEngineErrorCode = {
  dockerUnreachable: 'DOCKER_UNREACHABLE',
  dockerPermissionDenied: 'DOCKER_PERMISSION_DENIED',
  /** A context that does not exist or cannot be read, or an address that is none. */
  dockerContextInvalid: 'DOCKER_CONTEXT_INVALID',
  containerNotFound: 'CONTAINER_NOT_FOUND',
  imageNotFound: 'IMAGE_NOT_FOUND',
  volumeNotFound: 'VOLUME_NOT_FOUND',
  networkNotFound: 'NETWORK_NOT_FOUND',
  pullFailed: 'PULL_FAILED',
  execTimedOut: 'EXEC_TIMED_OUT',
  containerTimedOut: 'CONTAINER_TIMED_OUT',
  /** A path of a file to write that leads out of its folder. */
  filePathInvalid: 'FILE_PATH_INVALID',
  portInUse: 'PORT_IN_USE',
  /** The engine refuses what contradicts the state, e.g. a name or volume in use. */
  dockerConflict: 'DOCKER_CONFLICT',
  dockerRequestFailed: 'DOCKER_REQUEST_FAILED',
} as const;
