import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LOGS, NODE_STATE, run, until } from '../shared/index.ts';
import { CLUSTER_RANGE, HOST_ADDRESS, LINK, NODE_ADDRESS, NODE_DIR, RUN_DIR, TABLE } from './names.ts';

export const PAUSE = join(NODE_STATE, 'pause');
const SETTINGS_FILE = join(RUN_DIR, 'settings.json');

/** What kubelet, or we, change in the kernel for the whole host; put back at the end. */
const SETTINGS = [
  ...['net/ipv4/ip_forward', 'vm/overcommit_memory', 'vm/panic_on_oom', 'kernel/panic', 'kernel/panic_on_oops'],
  ...['kernel/keys/root_maxkeys', 'kernel/keys/root_maxbytes'],
];

/** The node: namespaces held by one process. When it ends, all that ran in them and all that they held is gone. */
export interface Node {
  /** Its process 1, by the host's count. */
  pid: number;
  holder: ChildProcess;
}

/** Makes the namespaces and connects them with the host. The node dies with the calling process, whatever ends that. */
export async function createNode(): Promise<Node> {
  rememberSettings();
  const log = openSync(join(LOGS, 'node.log'), 'a');
  const holder = spawn(
    'setpriv',
    [
      ...[
        '--pdeathsig',
        'KILL',
        'unshare',
        '--net',
        '--mount',
        '--uts',
        '--ipc',
        '--pid',
        '--fork',
        '--kill-child=KILL',
      ],
      ...['--mount-proc', '--propagation', 'private'],
      ...['/bin/sh', new URL('node-init.sh', import.meta.url).pathname, NODE_STATE, NODE_DIR, PAUSE],
    ],
    { stdio: ['ignore', log, log], cwd: '/' },
  );
  const pid = await until('the node', () => readyNode(holder), {
    limitMs: 10_000,
    everyMs: 5,
    log: join(LOGS, 'node.log'),
  });
  await connectNode(pid);
  return { pid, holder };
}

/** Process 1 of the node once it has become `pause`. */
function readyNode(holder: ChildProcess): number | undefined {
  if (holder.exitCode !== null || holder.pid === undefined) return undefined;
  const child = childOf(holder.pid);
  if (child === undefined) return undefined;
  const [program] = readFileSync(`/proc/${child}/cmdline`, 'utf8').split('\0');
  return program?.startsWith('/proc/self/fd/') === true ? child : undefined;
}

/** The first child of a process. */
export function childOf(pid: number): number | undefined {
  const file = `/proc/${pid}/task/${pid}/children`;
  if (existsSync(file)) {
    const [first] = readFileSync(file, 'utf8').trim().split(' ');
    return first === undefined || first === '' ? undefined : Number(first);
  }
  const isChild = (name: string) => {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] === String(pid);
    } catch {
      return false;
    }
  };
  const found = readdirSync('/proc').find((name) => /^\d+$/.test(name) && isChild(name));
  return found === undefined ? undefined : Number(found);
}

async function connectNode(pid: number): Promise<void> {
  await run('ip', ['link', 'add', LINK, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(pid)]);
  await run('ip', ['-batch', '-'], {
    input: [
      `address add ${HOST_ADDRESS}/30 dev ${LINK}`,
      `link set ${LINK} up`,
      `route add ${CLUSTER_RANGE} via ${NODE_ADDRESS} dev ${LINK}`,
    ].join('\n'),
  });
  await run('nsenter', ['-t', String(pid), '-n', 'ip', '-batch', '-'], {
    input: [
      `address add ${NODE_ADDRESS}/30 dev eth0`,
      'link set eth0 up',
      `route add default via ${HOST_ADDRESS}`,
    ].join('\n'),
  });
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  const namespaced = ['net.ipv4.ip_forward=1', 'net.bridge.bridge-nf-call-iptables=1'];
  await run('nsenter', ['-t', String(pid), '-n', '-m', '-p', 'sysctl', '-qw', ...namespaced]);
  // One argument: nft can't read a pipe of Node's, which is a socket.
  await run('nft', [
    `table ip ${TABLE} { chain outgoing { type nat hook postrouting priority srcnat; ` +
      `ip saddr ${CLUSTER_RANGE} oifname != "${LINK}" masquerade; }; }`,
  ]);
}

/** Keeps the first known values: a killed run left ours in place. */
function rememberSettings(): void {
  mkdirSync(RUN_DIR, { recursive: true });
  if (existsSync(SETTINGS_FILE)) return;
  const values: Record<string, string> = {};
  for (const name of SETTINGS) {
    const path = join('/proc/sys', name);
    if (existsSync(path)) values[name] = readFileSync(path, 'utf8').trim();
  }
  writeFileSync(SETTINGS_FILE, JSON.stringify(values));
}

export function restoreSettings(): void {
  if (!existsSync(SETTINGS_FILE)) return;
  const values = JSON.parse(readFileSync(SETTINGS_FILE, 'utf8')) as Record<string, string>;
  for (const [name, value] of Object.entries(values)) {
    const path = join('/proc/sys', name);
    if (SETTINGS.includes(name) && readFileSync(path, 'utf8').trim() !== value) writeFileSync(path, value);
  }
}
