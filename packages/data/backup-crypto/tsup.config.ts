import { defineConfig } from 'tsup';
// @boundaries-ignore the shared build settings are no package
import { library } from '../../../configs/tooling/tsup.ts';

// The second is the file of a thread: it is found beside the first one.
export default defineConfig({ ...library, entry: ['src/index.ts', 'src/openpgp-worker.ts'] });
