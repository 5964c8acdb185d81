/**
 * Bundles the tree in `argv[2]`, bakes its images and loads them into the cluster of this clone, all by that tree's own tools but for
 * where the cluster is; prints what it made. A process of its own, as the tree's modules are Node's to load.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { CONTAINERD_SOCKET, runningStatus } from '../../tools/cluster/index.ts';
import { type BuiltImage, repository } from '../../tools/images/index.ts';
import { binary, Fault, main, ROOT } from '../../tools/shared/index.ts';

type Images = Record<'server' | 'platform', BuiltImage>;

await main(async () => {
  const [, , tree = '', current = '{}'] = process.argv;
  const node = runningStatus()?.node;
  if (node === undefined) throw new Fault(`${ROOT} has no cluster of its own that runs: make up with CLUSTER=own.`);
  const { bundle } = (await import(join(tree, 'tools/bundle.ts'))) as { bundle(): Promise<void> };
  const { bakeOurs, loadImages } = (await import(join(tree, 'tools/images/index.ts'))) as {
    bakeOurs(): Promise<Images>;
    loadImages(socket: string, memory: string, images: Images): Promise<void>;
  };
  await bundle();
  const images = await bakeOurs();
  const socket = `/proc/${node}/root${CONTAINERD_SOCKET}`;
  await loadImages(socket, join(tree, `.cluster/loaded-${node}.json`), images);
  // The tag `dev` stays the current version's, which other tests run.
  for (const [name, tag] of Object.entries(JSON.parse(current) as Record<keyof Images, string>)) {
    const reference = repository(name as keyof Images);
    const args = ['-a', socket, '-n', 'k8s.io', 'images', 'tag', '--force'];
    execFileSync(binary('ctr'), [...args, `${reference}:${tag}`, `${reference}:dev`], { stdio: 'ignore' });
  }
  process.stdout.write(`${JSON.stringify(images)}\n`);
});
