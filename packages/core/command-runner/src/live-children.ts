import process from 'node:process';
import { killGroupNow } from './process-tree.ts';

const live = new Set<number>();

/** Ends the child's group when this process exits meanwhile. Dispose it once the child has ended. */
export function endWithThisProcess(pid: number): Disposable {
  if (live.size === 0) process.on('exit', endAll);
  live.add(pid);
  return {
    [Symbol.dispose](): void {
      live.delete(pid);
      if (live.size === 0) process.off('exit', endAll);
    },
  };
}

function endAll(): void {
  for (const pid of live) killGroupNow(pid);
}
