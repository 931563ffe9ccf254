import { defineConfig } from 'tsup';

/** Libraries: one ES module, nothing bundled in. Declarations come from tsc, which is faster and keeps one file per source. */
export const library: ReturnType<typeof defineConfig> = defineConfig({
  entry: ['src/index.ts'],
  format: ['esm'],
  target: 'node24',
  platform: 'node',
  dts: false,
  sourcemap: false,
  clean: true,
  splitting: true,
});
