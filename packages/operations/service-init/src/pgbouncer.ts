import type { ServiceInit } from './service-init.ts';

/** Not written yet. */
export const pgbouncerInit: ServiceInit = { engine: 'pgbouncer', prepare: () => Promise.reject(new Error('not written yet')) };
