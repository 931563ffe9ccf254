export { HealthProbeErrorCode } from './errors.ts';
export type { ProbeOptions, ProbeResult, Protocol } from './options.ts';
export { probe, probeAll } from './probe.ts';
export { waitHealthy, type WaitEvent, type WaitHealthyOptions } from './wait-healthy.ts';
