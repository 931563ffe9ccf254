import type { ServiceInit } from './service-init.ts';

/** Not written yet. */
export const redisInit: ServiceInit = { engine: 'redis', prepare: () => Promise.reject(new Error('not written yet')) };
