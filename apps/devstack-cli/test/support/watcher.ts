import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { text } from 'node:stream/consumers';

// See test-stack.ts. Removes a test stack by its labels when the test process ended without doing so.
const [project = '', configHome = ''] = process.argv.slice(2);

if ((await text(process.stdin)) !== 'removed' && /^(devstack-)?e2e-[0-9a-z-]+$/.test(project)) {
  const label = `label=com.docker.compose.project=${project}`;
  // A compose that was started by the killed test may still be making things: until nothing is found any more.
  for (let round = 0; round < 3; round += 1) {
    remove(['ps', '--all', '--quiet', '--filter', label], ['rm', '--force', '--volumes']);
    remove(['volume', 'ls', '--quiet', '--filter', label], ['volume', 'rm', '--force']);
    remove(['network', 'ls', '--quiet', '--filter', label], ['network', 'rm']);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000);
  }
  if (configHome !== '') rmSync(configHome, { recursive: true, force: true });
}

function remove(list: readonly string[], command: readonly string[]): void {
  const found = execFileSync('docker', list, { encoding: 'utf8' }).split('\n').filter(Boolean);
  if (found.length === 0) return;
  try {
    execFileSync('docker', [...command, ...found], { stdio: 'ignore' });
  } catch {
    // What could not be removed now is found again in the next round.
  }
}
