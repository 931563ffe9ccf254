import type { Connection } from './connection.ts';
import type { ContainerProcess, ExecDetails } from './types.ts';

/** The processes of a running container, exec sessions included, as `ps` of the engine's machine shows them. */
export async function containerProcesses(connection: Connection, id: string): Promise<readonly ContainerProcess[]> {
  const answer = (await connection.ask('container', id, () =>
    // Wide enough that ps cuts nothing.
    connection.docker.getContainer(id).top({ ps_args: '-wweo pid,args' }),
  )) as { readonly Processes?: readonly (readonly string[])[] | null };
  return (answer.Processes ?? []).map(([pid = '', ...command]) => ({ pid: Number(pid), command: command.join(' ') }));
}

/** What the engine keeps of a program that was started in a container, for some minutes after its end too. */
export async function inspectExec(connection: Connection, id: string): Promise<ExecDetails> {
  const raw = await connection.ask('container', `of exec ${id}`, () => connection.docker.getExec(id).inspect());
  return { id: raw.ID, containerId: raw.ContainerID, running: raw.Running, raw };
}
