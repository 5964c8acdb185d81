/** `make tools`: builds every program of the cluster that isn't built. */
import { build, installPackages, ROOMS } from './build/index.ts';
import { main } from './shared/index.ts';

await main(async () => {
  await installPackages({ forTests: true });
  for (const { name } of ROOMS) await build(name);
});
