/** The detached process that holds a cluster: `supervise.ts node` all of it, `supervise.ts front-door` Traefik beside another cluster. */
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KUBECONFIG, ROOT } from '../shared/index.ts';
import { createCgroups, joinProcesses } from './cgroups.ts';
import { frontDoorComponent, nodeComponents } from './components.ts';
import { RUN_DIR } from './names.ts';
import { createNode, type Node } from './node.ts';
import { Supervisor } from './supervisor.ts';

createCgroups();
joinProcesses(process.pid);
mkdirSync(RUN_DIR, { recursive: true });
writeFileSync(join(RUN_DIR, 'clone'), ROOT);

writeFileSync(join(RUN_DIR, 'supervisor'), String(process.pid));

if (process.argv[2] === 'front-door') {
  hold(new Supervisor([frontDoorComponent(process.env.KUBECONFIG ?? KUBECONFIG, [])], 0));
} else {
  const node = await createNode();
  hold(new Supervisor(nodeComponents(), node.pid), node);
}

/** Until SIGTERM, or until the node has ended: then everything ends, and is reaped here, so that not even zombies are left. */
function hold(supervisor: Supervisor, node?: Node): void {
  const end = async () => {
    // All that runs in the node ends with its process 1.
    if (node !== undefined && node.holder.exitCode === null && node.holder.signalCode === null) {
      process.kill(node.pid, 'SIGKILL');
      await once(node.holder, 'exit');
    }
    await supervisor.stop();
    process.exit(0);
  };
  process.once('SIGTERM', end);
  node?.holder.once('exit', end);
  void supervisor.run();
}
