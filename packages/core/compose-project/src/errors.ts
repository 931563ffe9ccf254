/** The codes that this package throws; the README says what to do about each. */
export const ComposeProjectErrorCode = {
  /** A compose file is missing, is not YAML, or holds something this package cannot stand for; `file:line:column` is in the message. */
  composeParse: 'COMPOSE_PARSE',
  unknownService: 'UNKNOWN_SERVICE',
  unknownProfile: 'UNKNOWN_PROFILE',
  /** `docker compose` failed for a reason that has no code of its own. */
  composeFailed: 'COMPOSE_FAILED',
  /** The docker client has no compose plugin, or there is no docker client. */
  composeMissing: 'COMPOSE_MISSING',
  portInUse: 'PORT_IN_USE',
  /** A network's subnet overlaps with one that exists. */
  subnetInUse: 'SUBNET_IN_USE',
  serviceUnhealthy: 'SERVICE_UNHEALTHY',
  imageNotFound: 'IMAGE_NOT_FOUND',
  dockerUnreachable: 'DOCKER_UNREACHABLE',
  dockerPermissionDenied: 'DOCKER_PERMISSION_DENIED',
} as const;
