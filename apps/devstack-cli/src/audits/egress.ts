import { getServers } from 'node:dns';
import { existsSync, readFileSync } from 'node:fs';
import { DevstackError } from '@devstack-core/errors';
import type { EgressTarget } from '@devstack-core/network-audit';
import { stringArgument, type Arguments } from '../command.ts';

/**
 * Addresses outside that a service must not reach unless it may: the given ones, or the name servers of this machine, which answer
 * wherever anything does. A stub on loopback is none.
 */
export function egressTargetsOf(args: Arguments): readonly EgressTarget[] {
  const given = stringArgument(args, 'egress');
  if (given !== undefined) return given.split(',').map(parseTarget);
  const servers = [...getServers(), ...behindStub()].filter((host) => !/^127\.|^::1$|^fe80:|[%\]]/.test(host));
  return [...new Set(servers)].map((host) => ({ host, port: 53 }));
}

function parseTarget(text: string): EgressTarget {
  // An IPv6 address stands in brackets.
  const [, bracketed, plain, port] = /^(?:\[([\da-fA-F:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text.trim()) ?? [];
  const host = bracketed ?? plain;
  if (host !== undefined && Number(port) >= 1 && Number(port) <= 65_535) return { host, port: Number(port) };
  throw new DevstackError({
    code: 'USAGE',
    message: `--egress holds ${JSON.stringify(text)}.`,
    hint: 'Write host:port,host:port of something outside that answers.',
    details: { usage: true },
  });
}

// systemd-resolved keeps the real ones here.
function behindStub(): readonly string[] {
  const path = '/run/systemd/resolve/resolv.conf';
  if (!existsSync(path)) return [];
  return [...readFileSync(path, 'utf8').matchAll(/^nameserver\s+(\S+)/gm)].map((match) => match[1] ?? '');
}
