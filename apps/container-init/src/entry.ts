import { dirname, join } from 'node:path';
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

// The image carries V8's compiled code beside the bundle (made by `--warm`), so that a start compiles nothing.
enableCompileCache(join(dirname(fileURLToPath(import.meta.url)), 'compile-cache'));
await (process.argv[2] === '--warm' ? import('./warm.ts') : import('./main.ts'));
