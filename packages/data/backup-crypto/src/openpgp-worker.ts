// The thread in which openpgp.js works through large streams, so that encryption and hashing, compression and the disk use two cores.
import { parentPort, workerData } from 'node:worker_threads';
import type { OpenPgpJob } from './openpgp-message.ts';
import { serve } from './openpgp-service.ts';

if (parentPort !== null) await serve(parentPort, workerData as OpenPgpJob);
