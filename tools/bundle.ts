/** Bundles each process into one file, `dist/<name>.mjs` or `.cjs`, for the images. `npm run bundle`. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, build, type Plugin } from 'esbuild';
import { Fault, main, ROOT } from './shared/index.ts';

const ENTRIES: Record<string, string> = {
  operator: 'operator/src/main.ts',
  gateway: 'gateway/src/main.ts',
  control: 'control/src/main.ts',
  migrate: 'control/src/migrate-main.ts',
  databases: 'control/src/databases-main.ts',
};

/** What runs in a bank's pod, where the start counts; `warm` makes its compile cache (tools/images/warm.ts). */
const SERVER_ENTRIES: Record<string, string> = { server: 'server/src/main.ts', warm: 'tools/images/warm.ts' };

/**
 * `import { z }` asks for the whole of zod, its messages in forty languages included, as `z` is an object; from a namespace,
 * esbuild takes what is used.
 */
const zodByParts: Plugin = {
  name: 'zod-by-parts',
  setup({ onLoad }) {
    onLoad({ filter: /\/(core|server)\/src\/.*\.ts$/ }, ({ path }) => ({
      loader: 'ts',
      contents: readFileSync(path, 'utf8').replace("import { z } from 'zod';", "import * as z from 'zod';"),
    }));
  },
};

const COMMON: BuildOptions = {
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node',
  target: 'node26',
  legalComments: 'none',
  logLevel: 'silent',
  // Optional native parts that nothing here uses.
  external: ['pg-native'],
};

/** Makes all bundles, or those that can be made, and then says which can't. */
export async function bundle(): Promise<void> {
  rmSync(join(ROOT, 'dist'), { recursive: true, force: true });
  try {
    await build({
      ...COMMON,
      entryPoints: present(ENTRIES),
      outdir: 'dist',
      outExtension: { '.js': '.mjs' },
      format: 'esm',
      keepNames: true,
      // Dependencies in CommonJS ask for node's own modules by require.
      banner: {
        js: "import { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);",
      },
    });
    await bundleServer(join(ROOT, 'dist'));
  } catch (error) {
    throw new Fault(`The bundles can't be made: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  const missing = Object.values({ ...ENTRIES, ...SERVER_ENTRIES }).filter((source) => !existsSync(join(ROOT, source)));
  if (missing.length > 0) throw new Fault(`There is no ${missing.join(', ')}: nothing to bundle.`);
}

/**
 * In CommonJS: `import … from 'node:http'` in an ES module reads every export of it once, and some of them load undici, the
 * inspector, and more. Without blanks and comments, since the whole text is read and hashed at each start.
 */
export async function bundleServer(folder: string): Promise<void> {
  await build({
    ...COMMON,
    entryPoints: present(SERVER_ENTRIES),
    outdir: folder,
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    minifyWhitespace: true,
    minifySyntax: true,
    plugins: [zodByParts],
  });
}

function present(entries: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(entries).filter(([, source]) => existsSync(join(ROOT, source))));
}

if (process.argv[1] === import.meta.filename) await main(bundle);
