/** `make tools`: builds every program of the cluster that isn't built. */
import { buildAll, installPackages } from './build/index.ts';
import { main } from './shared/index.ts';

await main(async () => {
  await installPackages({ forTests: true });
  await Promise.all(buildAll().values());
});
