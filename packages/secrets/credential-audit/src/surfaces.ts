import type { Severity } from '@devstack-core/audit-report';

/** Where a secret may show. */
export type Surface =
  | 'environment'
  | 'arguments'
  | 'labels'
  | 'health-log'
  | 'container-config'
  | 'exec'
  | 'events'
  | 'image-config'
  | 'image-history'
  | 'process-arguments'
  | 'process-environment'
  | 'logs'
  | 'volume-files'
  | 'bind-files'
  | 'tmpfs-files'
  | 'compose-config'
  | 'env-file'
  | 'shell-history'
  | 'project-logs'
  | 'reports'
  | 'files';

/** What a rule says about a surface. */
export interface SurfaceRule {
  readonly ruleId: string;
  readonly severity: Severity;
  /** What the rule demands. */
  readonly title: string;
  /** The place in words, as in "is in …". */
  readonly where: string;
  readonly remediation: string;
}

const byFile = 'Give it to the program as a file of mode 0600 (or by stdin), and rotate it.';

/** The rule of each surface. */
export const surfaceRules: Readonly<Record<Surface, SurfaceRule>> = {
  environment: {
    ruleId: 'secret-in-environment',
    severity: 'critical',
    title: 'No secret in the environment of a container.',
    where: 'the environment that `docker inspect` shows',
    remediation: byFile,
  },
  arguments: {
    ruleId: 'secret-in-arguments',
    severity: 'critical',
    title: 'No secret in the command line of a container.',
    where: 'the command that `docker inspect` shows',
    remediation: byFile,
  },
  labels: {
    ruleId: 'secret-in-label',
    severity: 'critical',
    title: 'No secret in a label.',
    where: 'a label',
    remediation: 'Remove the label, make the container anew, and rotate the secret.',
  },
  'health-log': {
    ruleId: 'secret-in-health-log',
    severity: 'critical',
    title: 'No secret in the output of a health check.',
    where: 'the health log that `docker inspect` shows',
    remediation: 'Let the health check print nothing but its verdict, and rotate the secret.',
  },
  'container-config': {
    ruleId: 'secret-in-container-config',
    severity: 'critical',
    title: 'No secret in the configuration of a container.',
    where: 'the configuration that `docker inspect` shows',
    remediation: byFile,
  },
  exec: {
    ruleId: 'secret-in-exec',
    severity: 'critical',
    title: 'No secret in the arguments of a program that is started in a container.',
    where: 'the arguments of a `docker exec`',
    remediation: 'Send it by stdin or let the program read it from a file, and rotate it.',
  },
  events: {
    ruleId: 'secret-in-engine-event',
    severity: 'critical',
    title: "No secret in the engine's events.",
    where: "the engine's events, which show every `docker exec` and label",
    remediation: 'Send it by stdin or let the program read it from a file, and rotate it.',
  },
  'image-config': {
    ruleId: 'secret-in-image-config',
    severity: 'critical',
    title: 'No secret in the configuration of an image.',
    where: 'the configuration of the image',
    remediation: 'Build the image without it (no ENV, LABEL or CMD with a secret), delete every copy, and rotate it.',
  },
  'image-history': {
    ruleId: 'secret-in-image-history',
    severity: 'critical',
    title: 'No secret in the history of an image.',
    where: 'the history of the image',
    remediation: 'Build with `--secret` in place of ARG or ENV, delete every copy of the image, and rotate it.',
  },
  'process-arguments': {
    ruleId: 'secret-in-process-arguments',
    severity: 'critical',
    title: 'No secret in the arguments of a process.',
    where: 'the arguments of a process, which `ps` shows to everybody',
    remediation: byFile,
  },
  'process-environment': {
    ruleId: 'secret-in-process-environment',
    severity: 'high',
    title: 'No secret in the environment of a process.',
    where: 'the environment of a process, which every child inherits',
    remediation: byFile,
  },
  logs: {
    ruleId: 'secret-in-log',
    severity: 'critical',
    title: 'No secret in the log of a container.',
    where: 'the log',
    remediation:
      'Stop the program from writing it (log level, masking), make the container anew, and rotate the secret.',
  },
  'volume-files': {
    ruleId: 'secret-in-readable-file',
    severity: 'high',
    title: 'No secret in a file that everybody may read.',
    where: 'a file in a volume that everybody may read',
    remediation: 'chmod it to 0600, owned by the one user that needs it.',
  },
  'bind-files': {
    ruleId: 'secret-in-readable-bind-file',
    severity: 'high',
    title: 'No secret in a mounted file that everybody may read.',
    where: 'a mounted file of the host that everybody may read',
    remediation: 'chmod it to 0600 on the host, owned by the user that needs it.',
  },
  'tmpfs-files': {
    ruleId: 'secret-in-readable-tmpfs-file',
    severity: 'high',
    title: 'No secret in a file in memory that everybody in the container may read.',
    where: 'a file on a tmpfs that every user of the container may read',
    remediation: 'Write it with mode 0600, owned by the one user that needs it.',
  },
  'compose-config': {
    ruleId: 'secret-in-compose-config',
    severity: 'critical',
    title: 'No secret in what compose resolves the project to.',
    where: 'the resolved compose configuration',
    remediation: byFile,
  },
  'env-file': {
    ruleId: 'secret-in-env-file',
    severity: 'high',
    title: 'No secret in an environment file.',
    where: 'an environment file',
    remediation: 'Remove it from the file; the service reads its secret itself. Rotate it.',
  },
  'shell-history': {
    ruleId: 'secret-in-shell-history',
    severity: 'high',
    title: "No secret in the shell's history.",
    where: "the shell's history",
    remediation: 'Delete the lines from the history file, give secrets by stdin or file, and rotate it.',
  },
  'project-logs': {
    ruleId: 'secret-in-project-log',
    severity: 'high',
    title: "No secret in the project's own logs.",
    where: "a log of the project's own",
    remediation: 'Delete the log, report the program that wrote it, and rotate the secret.',
  },
  reports: {
    ruleId: 'secret-in-report',
    severity: 'high',
    title: "No secret in the project's reports.",
    where: 'a report',
    remediation: 'Delete the report, report the program that wrote it, and rotate the secret.',
  },
  files: {
    ruleId: 'secret-in-file',
    severity: 'high',
    title: 'No secret in this file.',
    where: 'a file',
    remediation: 'Remove it from the file and rotate it.',
  },
};

/** All surfaces. */
export const surfaces: readonly Surface[] = Object.keys(surfaceRules) as Surface[];
