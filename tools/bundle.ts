/** Bundles each process into one file, `dist/<name>.mjs`, for the images. `npm run bundle`. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { Fault, main, ROOT } from './shared/index.ts';

const ENTRIES: Record<string, string> = {
  server: 'server/src/main.ts',
  operator: 'operator/src/main.ts',
  gateway: 'gateway/src/main.ts',
  control: 'control/src/main.ts',
  migrate: 'control/src/migrate-main.ts',
};

/** Makes all bundles, or those that can be made, and then says which can't. */
export async function bundle(): Promise<void> {
  const present = Object.entries(ENTRIES).filter(([, source]) => existsSync(join(ROOT, source)));
  rmSync(join(ROOT, 'dist'), { recursive: true, force: true });
  try {
    await build({
      absWorkingDir: ROOT,
      entryPoints: Object.fromEntries(present),
      outdir: 'dist',
      outExtension: { '.js': '.mjs' },
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node26',
      keepNames: true,
      legalComments: 'none',
      logLevel: 'silent',
      // Optional native parts that nothing here uses.
      external: ['pg-native'],
      // Dependencies in CommonJS ask for node's own modules by require.
      banner: {
        js: "import { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);",
      },
    });
  } catch (error) {
    throw new Fault(`The bundles can't be made: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  const missing = Object.values(ENTRIES).filter((source) => !existsSync(join(ROOT, source)));
  if (missing.length > 0) throw new Fault(`There is no ${missing.join(', ')}: nothing to bundle.`);
}

if (process.argv[1] === import.meta.filename) await main(bundle);
