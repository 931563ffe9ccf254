import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContainerDetails } from '@devstack-core/docker-engine';
import { cannotCheck, systemCode, throwIfAborted, type CollectContext, type ContainerCollector } from './context.ts';

/**
 * The arguments and the environment of every process of a container, exec sessions included. Read from /proc of this machine where the
 * container's processes are in it; otherwise the engine is asked for the arguments, and the environments are not checked.
 */
export function processCollector(pids: ReadonlyMap<string, readonly number[]>): ContainerCollector {
  return {
    surfaces: ['process-arguments', 'process-environment'],
    collect: async (context: CollectContext, container: ContainerDetails): Promise<void> => {
      if (!container.state.running) return;
      const own = pids.get(container.id) ?? [];
      if (own.length === 0) {
        await askEngine(context, container);
        return;
      }
      const [args, environments] = [new Set<string>(), new Set<string>()];
      let read = 0;
      for (const pid of own) {
        throwIfAborted(context.signal);
        const name = await processName(context.procRoot, pid);
        if (name === undefined) continue;
        read += 1;
        for (const [surface, file, failures] of [
          ['process-arguments', 'cmdline', args],
          ['process-environment', 'environ', environments],
        ] as const) {
          if (!context.wants(surface)) continue;
          const bytes = await readProcess(context.procRoot, pid, file);
          if (typeof bytes === 'string') failures.add(`${file} of ${name} (${bytes})`);
          else if (bytes !== undefined) {
            context.ledger.text(
              {
                surface,
                subject: container.name,
                at: `process ${String(pid)} (${name})`,
                key: name,
                location: context.locate(container, surface),
              },
              bytes,
            );
          }
        }
      }
      for (const [surface, failures] of [
        ['process-arguments', args],
        ['process-environment', environments],
      ] as const) {
        if (!context.wants(surface)) continue;
        if (read === 0) cannotCheck(context, surface, container.name, 'its processes ended before they were read');
        else if (failures.size === 0) context.ledger.checked(surface, container.name);
        else
          cannotCheck(context, surface, container.name, `${[...failures].join(', ')} cannot be read: run it as root`);
      }
    },
  };
}

async function askEngine(context: CollectContext, container: ContainerDetails): Promise<void> {
  if (context.wants('process-environment')) {
    const reason = `its processes are not in ${context.procRoot}: run the audit as root on the machine of the engine`;
    cannotCheck(context, 'process-environment', container.name, reason);
  }
  if (context.wants('process-arguments')) {
    // The engine asks `ps` of its machine, which a bare one does not have.
    for (const { pid, command } of await context.engine.containerProcesses(container.id)) {
      const name = /^[^\s:]*/.exec(command)?.[0].split('/').at(-1) ?? '';
      context.ledger.text(
        {
          surface: 'process-arguments',
          subject: container.name,
          at: `process ${String(pid)} (${name})`,
          key: name,
          location: context.locate(container, 'process-arguments'),
        },
        command,
      );
    }
    context.ledger.checked('process-arguments', container.name);
  }
}

/** The bytes; undefined for a process that has ended; the error's code for one that may not be read. */
export async function readProcess(procRoot: string, pid: number, file: string): Promise<Buffer | string | undefined> {
  try {
    return await readFile(join(procRoot, String(pid), file));
  } catch (error) {
    const code = systemCode(error) ?? 'unknown';
    return code === 'ENOENT' || code === 'ESRCH' ? undefined : code;
  }
}

async function processName(procRoot: string, pid: number): Promise<string | undefined> {
  const comm = await readProcess(procRoot, pid, 'comm');
  if (comm === undefined) return undefined;
  return typeof comm === 'string' ? 'unknown' : comm.toString('utf8').trim();
}
