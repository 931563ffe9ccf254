import type { DockerEngine } from '@devstack-core/docker-engine';
import type { PostgresPlace } from '../postgres/place.ts';

/** Gitea or Forgejo: a volume with its repositories and files, and a database on PostgreSQL that belong together. */
export interface GiteaPlace {
  readonly docker: DockerEngine;
  /** The server's container, paused for a moment during a dump; undefined where none is. A restore needs it stopped. */
  readonly container: string | undefined;
  /** The server's own image: its git and tar run in helper containers. */
  readonly image: string;
  readonly volume: string;
  readonly postgres: PostgresPlace;
  readonly database: string;
  /** On helper containers, for a later sweep. */
  readonly labels: Readonly<Record<string, string>>;
  /** Roles that own something may be made, as nobody else uses the PostgreSQL server. */
  readonly isThrowaway?: boolean;
}
