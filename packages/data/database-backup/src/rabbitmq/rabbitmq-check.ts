import { wordsOf } from '../engine-failure.ts';
import { fieldOf, type Definition } from './definitions.ts';
import type { ManagementApi } from './management-api.ts';

/** The broker's own checks: alarms, virtual hosts, and whether every queue runs. */
export async function rabbitmqProblems(api: ManagementApi): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const check of ['alarms', 'virtual-hosts']) {
    try {
      await api.ask('GET', ['health', 'checks', check]);
    } catch (error) {
      problems.push(`RabbitMQ's check of ${check}: ${wordsOf(error)}.`);
    }
  }
  const queues = (await api.ask('GET', ['queues'])) as readonly Definition[];
  for (const queue of queues) {
    const state = fieldOf(queue, 'state');
    if (state !== '' && state !== 'running' && state !== 'idle')
      problems.push(`The queue ${fieldOf(queue, 'name')} is ${state}.`);
  }
  return problems;
}
