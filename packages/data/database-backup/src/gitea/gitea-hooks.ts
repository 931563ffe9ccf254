import { lastLine, placeUnusable } from '../engine-failure.ts';
import type { GiteaPlace } from './gitea-place.ts';

/** Where the stack's server has its settings. */
const settings = ['--config', '/run/credentials/app.ini', '--work-path', '/var/lib/devstack'] as const;

/**
 * To be called once after a restore, when the server runs again: hooks of repositories hold the paths of this server's program and settings,
 * and are written anew. Gives what the server's own doctor has to say, one sentence for each problem. Throws PLACE_UNUSABLE.
 */
export async function finishGiteaRestore(place: GiteaPlace): Promise<readonly string[]> {
  const { docker, container } = place;
  if (container === undefined) throw placeUnusable('There is no server to finish the restore with.', 'Start it.');
  const program = await docker.exec(container, ['sh', '-c', 'command -v forgejo || command -v gitea']);
  const server = program.stdout.trim();
  const hooks = await docker.exec(container, [server, 'admin', 'regenerate', 'hooks', ...settings]);
  if (hooks.exitCode !== 0)
    throw placeUnusable(
      `The hooks of repositories could not be written anew: ${lastLine(hooks.stderr)}.`,
      `docker logs ${container}`,
    );
  const doctor = await docker.exec(container, [server, 'doctor', 'check', '--all', '--log-file', '-', ...settings]);
  const problems = `${doctor.stdout}\n${doctor.stderr}`.split('\n').filter((line) => /^\s*-?\s*\[[EC]\]/.test(line));
  return problems.map((line) => `The doctor of ${container}: ${line.trim()}.`);
}
