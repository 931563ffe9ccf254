import type { DockerEngine } from '@devstack-core/docker-engine';

/** A Docker volume. */
export interface VolumePlace {
  readonly docker: DockerEngine;
  readonly volume: string;
  /** Any image with GNU tar: the programs that read and write the volume run in it. */
  readonly image: string;
  /** On the containers that do so, for a later sweep. */
  readonly labels: Readonly<Record<string, string>>;
}
