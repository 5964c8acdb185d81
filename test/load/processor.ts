import { readdirSync, readFileSync } from 'node:fs';

/** Of the kernel, a second (USER_HZ). */
const TICKS = 100;

interface Process {
  pid: number;
  parent: number;
  name: string;
  /** Seconds, with those of its children that have ended. */
  used: number;
}

/** What of it is whose, by the name of the program: this process is `bench`, and another one of Node is the operator. */
const NAMES: Readonly<Record<string, string>> = {
  'kube-apiserver': 'API server',
  server: 'etcd',
  postgres: 'Postgres',
};

/** Seconds of processor time so far of this process and of all that it started, by what they are. */
export function processorTime(): Record<string, number> {
  const all = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (processOf(name) ?? []) : []));
  const ours = new Set([process.pid]);
  for (let before = 0; before < ours.size; ) {
    before = ours.size;
    for (const { pid, parent } of all) if (ours.has(parent)) ours.add(pid);
  }
  const sums: Record<string, number> = {};
  for (const { pid, name, used } of all) {
    if (!ours.has(pid)) continue;
    const of = pid === process.pid ? 'bench' : (NAMES[name] ?? 'operator');
    sums[of] = (sums[of] ?? 0) + used;
  }
  return sums;
}

/** Of one process; undefined: it has ended meanwhile. */
export function processOf(pid: string | number): Process | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  const [, name = '', rest = ''] = /^\d+ \((.*)\) (.*)$/s.exec(stat) ?? [];
  const fields = rest.split(' ');
  const used = [11, 12, 13, 14].reduce((sum, field) => sum + Number(fields[field]), 0);
  return { pid: Number(pid), parent: Number(fields[1]), name, used: used / TICKS };
}
