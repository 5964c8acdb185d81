import { createHash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { digest, Fault, LOGS, ROOT, run, type Step, step } from '../shared/index.ts';
import { BASE_ROOT, IMAGES_STATE, makeRoot, POSTGRES_ROOT } from './root.ts';

const LOG = join(LOGS, 'images.log');
const HERE = new URL('.', import.meta.url).pathname;
const LAYOUT = join(IMAGES_STATE, 'layout');
const INDEX = join(IMAGES_STATE, 'built.json');

export type ImageName = 'pause' | 'server' | 'platform' | 'postgres';

/** An image in the OCI layout of `layoutFolder()`. */
export interface BuiltImage {
  /** Of all that it is made of; a tag too, so that a change of content is a change of reference. */
  digest: string;
  /** sha256:… of its manifest in the layout, and that manifest's size. */
  manifest: string;
  size: number;
}

type Built = Partial<Record<ImageName, BuiltImage>>;

export function repository(name: ImageName): string {
  return `localhost/bankhouse/${name}`;
}

export function layoutFolder(): string {
  return LAYOUT;
}

/** What every node needs before anything of ours: small, and made before bundles are there. */
export function bakePause(pauseProgram: string): Promise<BuiltImage> {
  const file = join(HERE, 'pause.Dockerfile');
  return bake('pause', digest({ paths: [pauseProgram, file] }), async (context) => {
    copyFileSync(pauseProgram, join(context, 'pause'));
    return { dockerfile: file, args: [] };
  });
}

export function bakePostgres(): Promise<BuiltImage> {
  const file = join(HERE, 'postgres.Dockerfile');
  const entryPoint = join(HERE, 'postgres/docker-entrypoint.sh');
  const inputs = digest({ texts: [JSON.stringify(POSTGRES_ROOT)], paths: [file, entryPoint] });
  return step('image of Postgres', (current) =>
    bake('postgres', inputs, async (context) => {
      current.detail = 'Debian packages';
      linkFiles(await makeRoot(POSTGRES_ROOT), context);
      copyFileSync(entryPoint, join(context, 'docker-entrypoint.sh'));
      current.detail = 'layers';
      return { dockerfile: file, args: [] };
    }),
  );
}

/** The images of our own code; expects the bundles in dist/. */
export function bakeOurs(): Promise<{ server: BuiltImage; platform: BuiltImage }> {
  return step('images of server and platform', async (current) => {
    const base = await bakeBase(current);
    const dockerfile = join(ROOT, 'Dockerfile');
    const target = (name: 'server' | 'platform', paths: string[]) => {
      const absolute = paths.map((path) => join(ROOT, path));
      const missing = absolute.find((path) => !existsSync(path));
      if (missing !== undefined) throw new Fault(`${missing} is missing: it is part of the image ${name}.`);
      return bake(name, digest({ texts: [base.inputs], paths: [dockerfile, ...absolute] }), async (context) => {
        current.detail = name;
        for (const path of paths) cpSync(join(ROOT, path), join(context, path), { recursive: true });
        return { dockerfile, args: ['--target', name, '--build-arg', `BASE=${base.reference}`] };
      });
    };
    const server = await target('server', ['dist/server.cjs', 'dist/warm.cjs']);
    const bundles = ['operator', 'gateway', 'control', 'migrate', 'databases'].map((name) => `dist/${name}.mjs`);
    return { server, platform: await target('platform', [...bundles, 'migrations']) };
  });
}

/** Debian and Node.js; stays in buildah's own storage. */
async function bakeBase(current: Step): Promise<{ reference: string; inputs: string }> {
  const file = join(HERE, 'base.Dockerfile');
  const node = join(ROOT, 'node_modules/node/bin/node');
  const version = readFileSync(join(ROOT, 'node_modules/node/package.json'), 'utf8');
  const inputs = digest({ texts: [JSON.stringify(BASE_ROOT), version], paths: [file] });
  const reference = `localhost/bankhouse/base:${inputs}`;
  const found = await buildah(['images', '-q', reference]).catch(() => '');
  if (found.trim() !== '') return { reference, inputs };
  current.detail = 'Debian packages';
  const root = await makeRoot(BASE_ROOT);
  current.detail = 'the base';
  await inContext('base', async (context) => {
    linkFiles(root, context);
    copyFileSync(node, join(context, 'node'));
    await buildah(['bud', '--isolation', 'chroot', '-f', file, '-t', reference, context]);
  });
  return { reference, inputs };
}

/** Builds an image into the layout unless it is there, made of the same. */
async function bake(
  name: ImageName,
  inputs: string,
  prepare: (context: string) => Promise<{ dockerfile: string; args: string[] }>,
): Promise<BuiltImage> {
  const known = readBuilt()[name];
  if (known?.digest === inputs && existsSync(blobPath(known.manifest))) return known;
  return inContext(name, async (context) => {
    const { dockerfile, args } = await prepare(context);
    const tag = `${repository(name)}:dev`;
    await buildah(['bud', '--isolation', 'chroot', '-f', dockerfile, '-t', tag, ...args, context]);
    const folder = join(context, 'pushed');
    await buildah(['push', '-q', '--disable-compression', '--format', 'oci', tag, `dir:${folder}`]);
    const image = { digest: inputs, ...addToLayout(folder) };
    writeFileSync(INDEX, JSON.stringify({ ...readBuilt(), [name]: image }, null, 1));
    return image;
  });
}

/** Does something with a fresh folder for what goes into an image. */
async function inContext<T>(name: string, work: (context: string) => Promise<T>): Promise<T> {
  const context = join(IMAGES_STATE, `context-${name}`);
  const clear = () => rmSync(context, { recursive: true, force: true });
  clear();
  mkdirSync(context, { recursive: true });
  try {
    return await work(context);
  } finally {
    clear();
  }
}

function readBuilt(): Built {
  return existsSync(INDEX) ? (JSON.parse(readFileSync(INDEX, 'utf8')) as Built) : {};
}

/** Moves what `buildah push` wrote into the layout. A folder, and not a layout, as its layers stay uncompressed and so quick to load. */
function addToLayout(folder: string): { manifest: string; size: number } {
  const manifest = readFileSync(join(folder, 'manifest.json'));
  const id = `sha256:${createHash('sha256').update(manifest).digest('hex')}`;
  mkdirSync(join(LAYOUT, 'blobs/sha256'), { recursive: true });
  writeFileSync(join(LAYOUT, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  for (const name of readdirSync(folder)) {
    if (/^[0-9a-f]{64}$/.test(name)) renameSync(join(folder, name), blobPath(`sha256:${name}`));
  }
  writeFileSync(blobPath(id), manifest);
  return { manifest: id, size: manifest.length };
}

export function blobPath(id: string): string {
  return join(LAYOUT, 'blobs', id.replace(':', '/'));
}

function linkFiles(from: string, to: string): void {
  for (const name of ['root.tar', 'passwd', 'group', 'nsswitch.conf']) linkSync(join(from, name), join(to, name));
}

/** In a mount namespace of its own: its storage's mounts never reach the host. */
function buildah(args: string[]): Promise<string> {
  const storage = ['--root', join(IMAGES_STATE, 'storage'), '--runroot', join(IMAGES_STATE, 'runroot')];
  return run('unshare', ['--mount', 'buildah', ...storage, '--storage-driver', 'overlay', ...args], {
    log: LOG,
    env: { BUILDAH_ISOLATION: 'chroot', TMPDIR: IMAGES_STATE },
  });
}
