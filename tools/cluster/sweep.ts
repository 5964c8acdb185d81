import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  ADMIN_KEY_FILE,
  Fault,
  KUBECONFIG,
  NODE_STATE,
  PLATFORM_FILE,
  ROOT,
  say,
  tryRun,
  until,
} from '../shared/index.ts';
import { isAlive, ourCgroups, ourProcesses, removeCgroups } from './cgroups.ts';
import { LINK, RUN_DIR, TABLE } from './names.ts';
import { restoreSettings } from './node.ts';

/** What of a development cluster, of this clone or another, is left on the host; one line for each. */
export async function leftovers(): Promise<string[]> {
  const [links, tables] = await Promise.all([tryRun('ip', ['-o', 'link', 'show']), tryRun('nft', ['list', 'tables'])]);
  const left: string[] = [];
  for (const pid of ourProcesses()) left.push(`process ${pid}: ${commandOf(pid)}`);
  for (const folder of ourCgroups()) left.push(`cgroup ${folder}`);
  if (links.stdout.includes(`: ${LINK}@`)) left.push(`network link ${LINK}`);
  if (tables.stdout.split('\n').includes(`table ip ${TABLE}`)) left.push(`nftables table ${TABLE}`);
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const [, target = ''] = line.split(' ');
    if (/\/\.cluster\/(node|images)\//.test(`${target}/`)) left.push(`mount ${target}`);
  }
  if (existsSync(RUN_DIR)) left.push(`folder ${RUN_DIR}`);
  if (existsSync(NODE_STATE)) left.push(`folder ${NODE_STATE}`);
  return left;
}

/** Ends whatever development cluster there is, running or half gone, of this clone or another, and removes its traces. */
export async function sweep(): Promise<void> {
  const owner = join(RUN_DIR, 'clone');
  if (existsSync(owner) && readFileSync(owner, 'utf8') !== ROOT && ourProcesses().length > 0) {
    say(`ending the cluster of ${readFileSync(owner, 'utf8')}: a machine can have only one`);
  }
  await endProcesses();
  await tryRun('ip', ['link', 'delete', LINK]);
  await tryRun('nft', ['delete', 'table', 'ip', TABLE]);
  await until(
    'the end of the cgroups',
    () => {
      removeCgroups();
      return ourCgroups().length === 0;
    },
    { limitMs: 10_000 },
  );
  restoreSettings();
  for (const path of [NODE_STATE, RUN_DIR, PLATFORM_FILE, KUBECONFIG, ADMIN_KEY_FILE])
    rmSync(path, { recursive: true, force: true });
}

/** A supervisor that lives ends its own, and reaps them: so no zombie waits for whoever inherits it. */
async function endSupervisor(): Promise<void> {
  const file = join(RUN_DIR, 'supervisor');
  const pid = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  if (!ourProcesses().includes(pid)) return;
  process.kill(pid, 'SIGTERM');
  const limit = performance.now() + 5_000;
  while (isAlive(pid) && performance.now() < limit) await delay(10);
}

/** Kills until none is left. The supervisor's death takes the node's namespaces and all in them with it; the rest goes one by one. */
async function endProcesses(): Promise<void> {
  await endSupervisor();
  const limit = performance.now() + 20_000;
  for (;;) {
    const pids = ourProcesses();
    if (pids.length === 0) return;
    if (performance.now() > limit) {
      throw new Fault(
        `These processes of a cluster do not end: ${pids.map((pid) => `${pid} (${commandOf(pid)})`).join(', ')}.`,
      );
    }
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    }
    await delay(20);
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim().slice(0, 120);
  } catch {
    return 'ended';
  }
}
