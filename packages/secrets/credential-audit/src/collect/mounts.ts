import { access, constants, lstat, readlink, realpath } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { findingId } from '@devstack-core/audit-report';
import { isProcessOf, type ContainerDetails, type ContainerMount } from '@devstack-core/docker-engine';
import { searchArchivedFiles } from './archive-files.ts';
import { cannotCheck, type CollectContext, type ContainerCollector } from './context.ts';
import { searchReadableFiles, type MountedTree } from './readable-files.ts';
import type { WalkedEntry } from './walk.ts';

/** Volumes, files and folders of the host, and tmpfs: what every user of the container could read in them. */
export function mountCollector(): ContainerCollector {
  const seen = new Set<string>();
  // A volume or folder that several containers mount is read once.
  const isFirst = (key: string): boolean => !seen.has(key) && seen.add(key).size > 0;
  return {
    surfaces: ['volume-files', 'bind-files', 'tmpfs-files'],
    collect: async (context: CollectContext, container: ContainerDetails): Promise<void> => {
      const { wants } = context;
      for (const mount of container.mounts) {
        if (mount.type === 'volume' && wants('volume-files') && isFirst(`volume ${mount.name ?? mount.source}`))
          await volume(context, container, mount);
        if (mount.type === 'bind' && wants('bind-files') && isFirst(`bind ${mount.source}`))
          await bind(context, container, mount);
      }
      if (wants('tmpfs-files') && container.state.running)
        for (const target of tmpfsTargets(container)) await tmpfs(context, container, target);
    },
  };
}

async function volume(context: CollectContext, container: ContainerDetails, mount: ContainerMount): Promise<void> {
  const tree = {
    surface: 'volume-files',
    subject: `volume ${mount.name ?? mount.source}`,
    location: context.locate(container, 'volume-files'),
  } as const;
  if (context.isLocal && (await isReadable(mount.source)))
    await searchReadableFiles(context, { ...tree, path: mount.source });
  else await searchArchivedFiles(context, container, { ...tree, path: mount.target });
}

async function bind(context: CollectContext, container: ContainerDetails, mount: ContainerMount): Promise<void> {
  const subject = `${mount.source} on the host`;
  if (isOfTheSystem(mount.source)) {
    context.ledger.skipped.push({ subject, reason: 'it is a part of the operating system, not of the application' });
    return;
  }
  const location = context.locate(container, 'bind-files');
  // The engine follows a link here, and so does the search; nowhere else. (`/proc/<pid>/root` must never be resolved: it reads as `/`.)
  const path = context.isLocal ? await realpath(mount.source).catch(() => mount.source) : mount.source;
  const tree: MountedTree = {
    ...{ surface: 'bind-files', subject, path, location },
    onEntry: (entry) => judgeMode(context, { subject, path, location }, entry),
  };
  if (context.isLocal && (await isReadable(mount.source))) await searchReadableFiles(context, tree);
  else if (context.isLocal) cannotCheck(context, 'bind-files', subject, 'it cannot be read: run the audit as root');
  else await searchArchivedFiles(context, container, { ...tree, path: mount.target });
}

async function tmpfs(context: CollectContext, container: ContainerDetails, target: string): Promise<void> {
  const subject = `${container.name} ${target}`;
  const root = join(context.procRoot, String(container.state.pid), 'root');
  if (
    !context.isLocal ||
    !(await isProcessOf(container.id, container.state.pid, context)) ||
    !(await isReadable(root))
  ) {
    const reason = 'the engine gives no way to read it: run the audit as root on the machine of the engine';
    cannotCheck(context, 'tmpfs-files', subject, reason);
    return;
  }
  const location = context.locate(container, 'tmpfs-files');
  await searchReadableFiles(context, { surface: 'tmpfs-files', subject, path: await within(root, target), location });
}

function tmpfsTargets(container: ContainerDetails): readonly string[] {
  const { HostConfig } = container.raw as {
    readonly HostConfig?: { readonly Tmpfs?: Readonly<Record<string, string>> | null };
  };
  const mounted = container.mounts.filter(({ type }) => type === 'tmpfs').map(({ target }) => target);
  return [...new Set([...Object.keys(HostConfig?.Tmpfs ?? {}), ...mounted])];
}

/** A path of a container, as seen from outside: a link in it leads to somewhere in the container, never in this machine. */
async function within(root: string, path: string): Promise<string> {
  let parts = path.split('/').filter((part) => part !== '');
  let done = '/';
  for (let steps = 0; parts.length > 0 && steps < 64; steps += 1) {
    const [part = '', ...rest] = parts;
    const next = posix.join(done, part);
    const info = await lstat(join(root, next)).catch(() => undefined);
    if (info?.isSymbolicLink() === true) {
      const target = posix.resolve(done, await readlink(join(root, next)));
      parts = [...target.split('/').filter((piece) => piece !== ''), ...rest];
      done = '/';
    } else {
      parts = rest;
      done = next;
    }
  }
  return join(root, done);
}

function isOfTheSystem(source: string): boolean {
  return (
    source === '/' ||
    /^\/(proc|sys|dev|boot|lib|lib64|bin|sbin|usr\/(lib|lib64|bin|sbin|share)|var\/lib\/docker)(\/|$)/.test(source) ||
    /^\/(usr|run|var|var\/(lib|run)|etc|home|root|etc\/(localtime|timezone|passwd|group|hosts|resolv\.conf|ssl\/certs.*))$/.test(
      source,
    )
  );
}

async function isReadable(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}

const credentialName =
  /(^|[-_.])(secret[-_]?id|role[-_]?id|root[-_]token|token|unseal[-_]?keys?|pgpass|htpasswd|id_(rsa|ed25519|ecdsa))$|^\.(pgpass|my\.cnf|netrc|git-credentials)$|password|credentials|^keys\.json$|\.(key|p12|pfx|jks|keystore|env)$/i;

function judgeMode(
  context: CollectContext,
  tree: Pick<MountedTree, 'subject' | 'path' | 'location'>,
  entry: WalkedEntry,
): void {
  const name = entry.name === '' ? tree.path : entry.name;
  const mode = `0${entry.mode.toString(8)}`;
  const common = {
    severity: 'medium',
    subject: tree.subject,
    ...(tree.location === undefined ? {} : { location: tree.location }),
  } as const;
  if (!entry.isFolder && entry.isReadableByOthers && credentialName.test(name.split('/').at(-1) ?? '')) {
    context.ledger.add({
      ...common,
      id: findingId('credential-file-too-open', tree.subject, name),
      ruleId: 'credential-file-too-open',
      title: 'No mounted credential file that everybody may read.',
      message: `${name} has a credential's name and the mode ${mode}.`,
      remediation: 'chmod it to 0600 on the host, owned by the user that needs it.',
    });
  }
  // The sticky bit of a folder keeps others away from what is not theirs.
  const isWritable = (entry.mode & 0o002) !== 0 && (!entry.isFolder || (entry.mode & 0o1000) === 0);
  if (!isWritable) return;
  context.ledger.add({
    ...common,
    id: findingId('bind-mount-writable-by-others', tree.subject, name),
    ruleId: 'bind-mount-writable-by-others',
    title: 'Nothing of the host that is mounted can be written by everybody.',
    message: `${name} can be written by everybody (mode ${mode}).`,
    remediation: 'Take the right to write away from others: chmod o-w.',
  });
}
