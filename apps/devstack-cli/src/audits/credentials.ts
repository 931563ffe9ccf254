import { homedir } from 'node:os';
import { join, relative } from 'node:path';
import { auditCredentials, type CredentialAuditReport, type HostFile } from '@devstack-core/credential-audit';
import type { Stack } from '@devstack-core/stack-lifecycle';
import type { Context } from '../context.ts';
import { stackNeedles } from './needles.ts';

/** Looks for every secret of the stack on every surface of its containers and in what the project keeps beside them. */
export async function credentialsOf(
  stack: Stack,
  context: Context,
  options: { readonly history: boolean },
): Promise<CredentialAuditReport> {
  const needles = await stackNeedles(stack);
  return auditCredentials({
    engine: await stack.engine(),
    containers: { project: stack.project.id },
    needles,
    files: [...(await projectFiles(stack)), ...(options.history ? historyFiles() : [])],
    locate: ({ labels }) => {
      const service = stack.model.services.find(({ name }) => name === labels['com.docker.compose.service']);
      return service === undefined
        ? undefined
        : { file: relative(stack.project.root, service.source.file), line: service.source.line };
    },
    signal: context.signal,
    onEvent: (event) => {
      if (event.type !== 'container') return;
      context.onEvent({
        type: 'progress',
        step: 'credentials',
        text: `${event.container} (${String(event.done)} of ${String(event.of)})`,
      });
    },
  });
}

async function projectFiles(stack: Stack): Promise<readonly HostFile[]> {
  const { root, configDirectory } = stack.project;
  return [
    { kind: 'compose-config', name: 'docker compose config', text: JSON.stringify(await stack.compose.config()) },
    { kind: 'env-file', name: '.env', path: join(root, '.env'), optional: true },
    { kind: 'env-file', name: 'compose.env', path: join(configDirectory, 'compose.env') },
    { kind: 'project-logs', name: 'state', path: stack.directories.state, optional: true },
    // Not reports/, which holds what tests printed: they plant what looks like secrets.
    { kind: 'reports', name: 'bench/reports', path: join(root, 'bench/reports'), optional: true },
  ];
}

function historyFiles(): readonly HostFile[] {
  return ['.bash_history', '.zsh_history', '.local/share/fish/fish_history'].map((name) => ({
    kind: 'shell-history',
    name: `~/${name}`,
    path: join(homedir(), name),
    optional: true,
  }));
}
