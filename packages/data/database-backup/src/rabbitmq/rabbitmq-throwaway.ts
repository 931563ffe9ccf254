import { randomBytes } from 'node:crypto';
import type { ContainerFile } from '@devstack-core/docker-engine';
import { Secret } from '@devstack-core/redaction';
import { startThrowaway } from '../throwaway.ts';
import type { Throwaway, ThrowawayOptions } from '../types.ts';
import { ownUsers, type RabbitmqPlace } from './rabbitmq-place.ts';

const folder = '/tmp/rabbitmq';
const username = `${ownUsers}backup`;

/** A broker with one user of its own, reachable from its own container alone, without any stored data. */
export async function throwawayRabbitmq(options: ThrowawayOptions): Promise<Throwaway<RabbitmqPlace>> {
  const { docker } = options;
  const password = randomBytes(24).toString('hex');
  let isConfigured = false;
  const container = await startThrowaway({
    ...options,
    what: 'RabbitMQ',
    argv: [
      'sh',
      '-c',
      'umask 077; mkdir -p "$HOME" && until [ -e "$HOME/go" ]; do sleep 0.1; done; exec rabbitmq-server',
    ],
    env: {
      HOME: folder,
      RABBITMQ_NODENAME: 'rabbit@localhost',
      RABBITMQ_BASE: folder,
      RABBITMQ_MNESIA_BASE: `${folder}/mnesia`,
      RABBITMQ_LOG_BASE: `${folder}/log`,
      RABBITMQ_LOGS: '-',
      RABBITMQ_CONFIG_FILE: `${folder}/rabbitmq.conf`,
      RABBITMQ_ENABLED_PLUGINS_FILE: `${folder}/enabled_plugins`,
      RABBITMQ_CONF_ENV_FILE: '/dev/null',
      ERL_EPMD_ADDRESS: '127.0.0.1',
      detached: 'true',
    },
    ready: async (id) => {
      if (!isConfigured) {
        await docker.putFiles(id, await configuration(id));
        isConfigured = true;
      }
      await using forward = await docker.forward(id, 15_672);
      const answer = await fetch(`http://${forward.host}:${String(forward.port)}/`, {
        signal: AbortSignal.timeout(5000),
      });
      return answer.ok;
    },
  });
  return {
    docker,
    container: container.id,
    username,
    password: new Secret(password),
    scratch: folder,
    [Symbol.asyncDispose]: () => container.remove(),
  };

  async function configuration(id: string): Promise<ContainerFile[]> {
    const { stdout } = await docker.exec(id, ['sh', '-c', 'until [ -d "$HOME" ]; do sleep 0.1; done; id -u; id -g']);
    const [uid = 0, gid = 0] = stdout.trim().split('\n').map(Number);
    const file = (name: string, content: string): ContainerFile => ({
      path: `${folder}/${name}`,
      content: new Secret(content),
      mode: 0o600,
      uid,
      gid,
    });
    const settings = [
      'listeners.tcp.default = 127.0.0.1:5672',
      'management.tcp.ip = 127.0.0.1',
      'management.tcp.port = 15672',
      `default_user = ${username}`,
      `default_pass = ${password}`,
      'default_user_tags.administrator = true',
      'default_user_tags.impersonator = true',
      'log.console = true',
      'log.file = false',
      'disk_free_limit.absolute = 50MB',
      'total_memory_available_override_value = 900MB',
    ];
    return [
      file('rabbitmq.conf', `${settings.join('\n')}\n`),
      file('enabled_plugins', '[rabbitmq_management].\n'),
      file('go', ''),
    ];
  }
}
