import { defineConfig } from 'tsup';
// @boundaries-ignore the shared build settings are no package
import { library } from '../../configs/tooling/tsup.ts';

export default defineConfig({ ...library, entry: ['src/index.ts', 'src/main.ts'] });
