/** `make up`: from nothing, or from whatever is there, to banks that answer. */
import { build, installPackages } from './build/index.ts';
import { bundle } from './bundle.ts';
import { type Cluster, chooseCluster, startKindCluster, toolPath, useExistingCluster } from './cluster/index.ts';
import {
  applyBanks,
  installChart,
  loadSamples,
  ownCluster,
  readSecrets,
  report,
  waitForBanks,
  waitForPlatform,
  writePlatform,
} from './platform/index.ts';
import { main, say, step } from './shared/index.ts';

const start = performance.now();

await main(async () => {
  const { cluster, complete } = await getCluster();
  await installChart(cluster);
  const { databaseUrl } = await readSecrets(cluster);
  await applyBanks(cluster);
  // What waits for the platform fails with its reason, not with one that follows from it.
  await Promise.all([waitForPlatform(cluster), complete]);
  await Promise.all([
    step('sample banks in the database', () => waitForBanks(cluster, 'DatabaseReady')).then(() =>
      loadSamples(cluster, databaseUrl),
    ),
    step('sample banks', () => waitForBanks(cluster, 'Ready')),
  ]);
  await report(await writePlatform(cluster, databaseUrl));
  say(`\nmake up took ${((performance.now() - start) / 1000).toFixed(1)} s; make down ends it all.`);
});

/** The one step in which the ways to a cluster differ. `complete` is what it still does while the platform is being installed. */
async function getCluster(): Promise<{ cluster: Cluster; complete: Promise<void> }> {
  const kind = await chooseCluster();
  if (kind === 'own') {
    await installPackages();
    return ownCluster();
  }
  const tools = ['kubectl', 'helm'].map((name) => toolPath(name));
  if ((await Promise.all(tools)).includes(undefined)) await build('kubernetes');
  if (kind === 'kind' || process.env.FRONT_DOOR_URL === undefined) await build('traefik');
  if (kind === 'kind') await bundle();
  return {
    cluster: kind === 'kind' ? await startKindCluster() : await useExistingCluster(),
    complete: Promise.resolve(),
  };
}
