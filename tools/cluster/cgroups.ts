import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CGROUP } from './names.ts';

const ROOT = '/sys/fs/cgroup';
const UNIFIED = existsSync(join(ROOT, 'cgroup.controllers'));
const PROCESSES = 'processes';
/**
 * What all pods together weigh beside one process of the host, whose weight is 1: a group counts as one, however many are in it, and pods
 * that a busy host starves fail their probes, as they would not on a node of their own.
 */
const WEIGHT = 8;

/** Every hierarchy's root: the one of version 2, or those of version 1 (and of version 2 beside it). */
function hierarchies(): string[] {
  if (UNIFIED) return [ROOT];
  return readdirSync(ROOT, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(ROOT, entry.name, 'cgroup.procs')))
    .map((entry) => join(ROOT, entry.name));
}

/** Makes our cgroup everywhere, as kubelet wants its root to exist, with the limits of the host. */
export function createCgroups(): void {
  if (UNIFIED) {
    // As far as the host delegates them.
    for (const controller of readFileSync(join(ROOT, 'cgroup.controllers'), 'utf8').trim().split(' ')) {
      tryWrite(join(ROOT, 'cgroup.subtree_control'), `+${controller}`);
    }
  }
  for (const hierarchy of hierarchies()) {
    const folder = join(hierarchy, CGROUP);
    mkdirSync(folder, { recursive: true });
    for (const name of ['cpuset.cpus', 'cpuset.mems']) {
      // Version 1: a new cpuset is empty, and nothing can run in it.
      if (!UNIFIED && existsSync(join(folder, name))) {
        writeFileSync(join(folder, name), readFileSync(join(hierarchy, name), 'utf8'));
      }
    }
    tryWrite(join(folder, 'cpu.weight'), String(WEIGHT * 100));
    if (!UNIFIED && existsSync(join(folder, 'cpu.shares'))) tryWrite(join(folder, 'cpu.shares'), String(WEIGHT * 1024));
  }
}

/**
 * Puts a process, and so all that it starts later, where every clone's clean-up finds it: into one hierarchy is enough, and the
 * resource controllers stay out of it.
 */
export function joinProcesses(pid: number): void {
  const all = hierarchies();
  const hierarchy =
    ['freezer', 'pids', 'systemd'].map((name) => join(ROOT, name)).find((path) => all.includes(path)) ?? ROOT;
  const folder = join(hierarchy, CGROUP, PROCESSES);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'cgroup.procs'), String(pid));
}

/** All our cgroups, innermost first. */
export function ourCgroups(): string[] {
  return hierarchies().flatMap((hierarchy) => innermostFirst(join(hierarchy, CGROUP)));
}

/** Ids of the processes in them; those that have died and only wait for their parent are not counted. */
export function ourProcesses(): number[] {
  const pids = new Set<number>();
  for (const folder of ourCgroups()) {
    for (const pid of read(join(folder, 'cgroup.procs')).split('\n'))
      if (pid !== '' && isAlive(Number(pid))) pids.add(Number(pid));
  }
  return [...pids];
}

/** Removes what is empty; the rest stays. */
export function removeCgroups(): void {
  for (const folder of ourCgroups()) {
    try {
      rmdirSync(folder);
    } catch {
      // Busy: the next pass finds it again.
    }
  }
}

export function isAlive(pid: number): boolean {
  const stat = read(`/proc/${pid}/stat`);
  const state = stat.slice(stat.lastIndexOf(')') + 2)[0];
  return state !== undefined && state !== 'Z' && state !== 'X';
}

function innermostFirst(folder: string): string[] {
  if (!existsSync(folder)) return [];
  try {
    const children = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [...children.flatMap((entry) => innermostFirst(join(folder, entry.name))), folder];
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function tryWrite(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch {
    // Not ours to decide on this host.
  }
}
