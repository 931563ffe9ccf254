import { networkMode, networkWarning } from '@devstack-core/stack-lifecycle';
import type { Arguments, Outcome } from '../command.ts';
import type { Context } from '../context.ts';
import { table } from '../output/table.ts';

export async function run(_args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const settings = Object.entries(stack.env)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => ({ name, value, origin: stack.origins[name] ?? 'default' }));
  const folders = { configuration: stack.project.configDirectory, checkout: stack.project.root };
  const networks = networkMode(stack.env);
  const warning = networkWarning({ declared: networks, running: null });
  const head = warning === undefined ? '' : `WARNING: ${warning.text}\n  next: ${warning.hint}\n\n`;
  const rows = settings.map((setting) => [setting.name, setting.value, setting.origin]);
  return {
    data: {
      schema: 'devstack/config/1',
      project: stack.project.id,
      subnetPrefix: stack.project.subnetPrefix,
      portOffset: stack.project.portOffset,
      networks,
      folders,
      settings,
    },
    text: head + table(['setting', 'value', 'from'], rows),
  };
}
