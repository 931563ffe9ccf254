import type { Place } from '../types.ts';

/** A RabbitMQ broker with its management plugin. The user is an administrator and has all rights in every virtual host. */
export interface RabbitmqPlace extends Place {
  /** On the container's own loopback; 5672 unless given. */
  readonly amqpPort?: number;
  /** 15672 unless given. */
  readonly managementPort?: number;
}

/** Users whose names begin so are made anew with every start, and in no backup. */
export const ownUsers = 'devstack-';
/** The queue of the health check, which is gone after two minutes. */
export const ownQueue = 'devstack.health';
