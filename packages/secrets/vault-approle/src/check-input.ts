import { BlockList, isIP } from 'node:net';
import { DevstackError } from '@devstack-core/errors';
import { normalizedCidrs, type BootstrapOptions, type Consumer, type RoleDefinition } from './definitions.ts';
import { VaultAppRoleErrorCode } from './errors.ts';

/** Vault's own policies, which are nobody's role. */
const builtIn = ['root', 'default', 'default-ceiling'];

/** Throws `BOOTSTRAP_INPUT_INVALID` with everything that is wrong, before anything is done. Vault would answer some of it with a 500. */
export function checkInput(options: Pick<BootstrapOptions, 'roles' | 'consumers'>): void {
  const problems = [
    ...options.roles.flatMap((role) => roleProblems(role, options.roles)),
    ...options.consumers.flatMap((consumer) => consumerProblems(consumer, options)),
  ];
  if (problems.length === 0) return;
  throw new DevstackError({
    code: VaultAppRoleErrorCode.inputInvalid,
    message: `The bootstrap cannot be done as it is described: ${problems.join('; ')}.`,
    hint: 'Correct the roles, the policies or the addresses; nothing was changed.',
    details: { problems },
  });
}

function roleProblems(role: RoleDefinition, all: readonly RoleDefinition[]): readonly string[] {
  const problems: string[] = [];
  const name = `role "${role.role}"`;
  if (!/^[a-z0-9][a-z0-9_-]*$/.test(role.role))
    problems.push(`${name} is not a name of lower case letters, digits, - and _`);
  if (builtIn.includes(role.role)) problems.push(`${name} has the name of a policy of Vault's own`);
  if (all.filter((other) => other.role === role.role).length > 1) problems.push(`${name} is there twice`);
  if (role.policy.trim() === '') problems.push(`${name} has no policy`);
  if (role.boundCidrs.length === 0) problems.push(`${name} is bound to no network`);
  if ((role.tokenTtlS ?? 300) > 300) problems.push(`the tokens of ${name} would live longer than 300 s`);
  for (const cidr of normalizedCidrs(role.boundCidrs))
    if (parsed(cidr) === undefined) problems.push(`${name}: "${cidr}" is not a network`);
  return problems;
}

function consumerProblems(
  consumer: Consumer,
  options: Pick<BootstrapOptions, 'roles' | 'consumers'>,
): readonly string[] {
  const problems: string[] = [];
  const name = `service "${consumer.service}"`;
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(consumer.service))
    problems.push(`${name} is not a name that a folder can have`);
  if (options.consumers.filter((other) => other.service === consumer.service).length > 1)
    problems.push(`${name} is there twice`);
  if (consumer.addresses.length === 0) problems.push(`${name} is bound to no address`);
  const role = options.roles.find((candidate) => candidate.role === consumer.role);
  if (role === undefined) return [...problems, `${name} uses role "${consumer.role}", which is not defined`];
  const networks = new BlockList();
  for (const network of normalizedCidrs(role.boundCidrs).map(parsed)) {
    if (network !== undefined) networks.addSubnet(network.address, network.prefix, network.family);
  }
  for (const cidr of normalizedCidrs(consumer.addresses)) {
    const address = parsed(cidr);
    if (address === undefined) problems.push(`${name}: "${cidr.replace(/\/(32|128)$/, '')}" is not an address`);
    else if (address.prefix !== (address.family === 'ipv4' ? 32 : 128))
      problems.push(`${name}: "${cidr}" is wider than one address`);
    else if (!networks.check(address.address, address.family))
      problems.push(`${name}: ${cidr} is outside the networks of role "${consumer.role}"`);
  }
  return problems;
}

function parsed(cidr: string): { address: string; prefix: number; family: 'ipv4' | 'ipv6' } | undefined {
  const [address = '', length = ''] = cidr.split('/');
  const version = isIP(address);
  const prefix = /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN;
  if (version === 0 || !(prefix >= 0 && prefix <= (version === 4 ? 32 : 128))) return undefined;
  return { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' };
}
