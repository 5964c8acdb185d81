/** `make down`: the cluster and every trace of it are gone; what was built stays for the next `make up`. */
import { existsSync, readFileSync } from 'node:fs';
import { chooseCluster, leftovers, removeKindCluster, sweep } from './cluster/index.ts';
import { uninstallChart } from './platform/index.ts';
import { Fault, main, PLATFORM_FILE, say, step } from './shared/index.ts';

await main(async () => {
  const kind = await chooseCluster();
  await step('ending the cluster', async () => {
    if (kind === 'kind') await removeKindCluster();
    if (kind === 'existing' && existsSync(PLATFORM_FILE)) {
      const { kubeconfig } = JSON.parse(readFileSync(PLATFORM_FILE, 'utf8')) as { kubeconfig: string };
      await uninstallChart(kubeconfig);
    }
    await sweep();
  });
  const left = await leftovers();
  if (left.length > 0) throw new Fault(`These are left of the cluster:\n${left.map((line) => `  ${line}`).join('\n')}`);
  say('nothing is left of the cluster');
});
