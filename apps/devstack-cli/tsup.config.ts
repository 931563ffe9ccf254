import { defineConfig } from 'tsup';
import { library } from '../../configs/tooling/tsup.ts';

export default defineConfig({ ...library, entry: ['src/index.ts', 'src/main.ts'] });
