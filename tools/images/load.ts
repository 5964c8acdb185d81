import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binary, LOGS, run } from '../shared/index.ts';
import { type BuiltImage, blobPath, type ImageName, layoutFolder, repository } from './bake.ts';
import { IMAGES_STATE } from './root.ts';

interface Descriptor {
  digest: string;
  size: number;
  mediaType: string;
}

/**
 * Brings images into a containerd, under the tags `dev` and their digest, and remembers in `memory` (a file that lives as long as
 * that containerd) which are there.
 */
export async function loadImages(
  socket: string,
  memory: string,
  images: Partial<Record<ImageName, BuiltImage>>,
): Promise<void> {
  const loaded: Record<string, string> = existsSync(memory) ? JSON.parse(readFileSync(memory, 'utf8')) : {};
  const missing = Object.entries(images).filter(([name, image]) => loaded[name] !== image.digest) as [
    ImageName,
    BuiltImage,
  ][];
  if (missing.length === 0) return;
  const names = missing.map(([name]) => name);
  const work = join(IMAGES_STATE, `load-${names.join('-')}`);
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  const manifests = missing.flatMap(([name, image]) =>
    ['dev', image.digest].map((tag) => ({
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: image.manifest,
      size: image.size,
      annotations: {
        'io.containerd.image.name': `${repository(name)}:${tag}`,
        'org.opencontainers.image.ref.name': tag,
      },
    })),
  );
  writeFileSync(join(work, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  const blobs = [...new Set(missing.flatMap(([, image]) => blobsOf(image.manifest)))].map(
    (id) => `blobs/${id.replace(':', '/')}`,
  );
  // Through a pipe: nothing is written twice.
  await run(
    'sh',
    [
      ...[
        '-c',
        'layout=$1 work=$2 ctr=$3 socket=$4; shift 4; tar -cf - -C "$layout" oci-layout "$@" -C "$work" index.json | "$ctr" -a "$socket" -n k8s.io images import -',
      ],
      ...['load-images', layoutFolder(), work, binary('ctr'), socket, ...blobs],
    ],
    { log: join(LOGS, 'images.log') },
  );
  rmSync(work, { recursive: true });
  const now: Record<string, string> = existsSync(memory) ? JSON.parse(readFileSync(memory, 'utf8')) : {};
  writeFileSync(
    memory,
    JSON.stringify({ ...now, ...Object.fromEntries(missing.map(([name, { digest }]) => [name, digest])) }),
  );
}

function blobsOf(manifest: string): string[] {
  const { config, layers } = JSON.parse(readFileSync(blobPath(manifest), 'utf8')) as {
    config: Descriptor;
    layers: Descriptor[];
  };
  return [manifest, config.digest, ...layers.map((layer) => layer.digest)];
}
