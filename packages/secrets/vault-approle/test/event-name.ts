import type { BootstrapEvent } from '../src/index.ts';

/** One word for what happens and one for the step: `issued secret-id redis-1`. */
export function eventName(event: BootstrapEvent): string {
  return event.type === 'step-moment'
    ? `${event.moment} ${event.step}`
    : `${event.type.replace('step-', '')} ${event.step}`;
}
