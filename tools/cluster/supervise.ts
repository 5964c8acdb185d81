/** The detached process that holds a cluster: `supervise.ts node` all of it, `supervise.ts front-door` Traefik beside another cluster. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KUBECONFIG, ROOT } from '../shared/index.ts';
import { createCgroups, joinProcesses } from './cgroups.ts';
import { frontDoorComponent, nodeComponents } from './components.ts';
import { RUN_DIR } from './names.ts';
import { createNode } from './node.ts';
import { Supervisor } from './supervisor.ts';

createCgroups();
joinProcesses(process.pid);
mkdirSync(RUN_DIR, { recursive: true });
writeFileSync(join(RUN_DIR, 'clone'), ROOT);

if (process.argv[2] === 'front-door') {
  await new Supervisor([frontDoorComponent(process.env.KUBECONFIG ?? KUBECONFIG, [])], 0).run();
} else {
  const node = await createNode();
  node.holder.once('exit', () => {
    process.stderr.write('The node has ended, and the supervisor with it.\n');
    process.exit(1);
  });
  await new Supervisor(nodeComponents(), node.pid).run();
}
