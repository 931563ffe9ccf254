import type { ServiceInit } from './service-init.ts';

/** Not written yet. */
export const postgresInit: ServiceInit = { engine: 'postgres', prepare: () => Promise.reject(new Error('not written yet')) };
