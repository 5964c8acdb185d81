import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BIN, digest, Fault, LOGS, ROOT, run, STATE, step, tryRun } from '../shared/index.ts';

const KUBERNETES = 'k8s.io/component-base/version';

interface Room {
  name: string;
  /** The programs that it makes. */
  programs: readonly string[];
  ldflags: readonly string[];
  env: Record<string, string>;
}

/** Its build gives way to the others': it is needed last, and takes what processors they leave idle. */
const IN_BACKGROUND = 'traefik';

/** In the order in which a starting cluster needs them. */
export const ROOMS: readonly Room[] = [
  {
    name: 'kubernetes',
    // etcd's program is called server.
    programs: [
      ...['server', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy', 'kubectl'],
      ...['containerd', 'containerd-shim-runc-v2', 'ctr', 'helm'],
    ],
    // Without them every check of versions sees v0.0.0.
    ldflags: [`-X ${KUBERNETES}.gitVersion=v1.36.3`, `-X ${KUBERNETES}.gitMajor=1`, `-X ${KUBERNETES}.gitMinor=36`],
    env: {},
  },
  // Static: its pod has no root file system but this program.
  { name: 'coredns', programs: ['coredns'], ldflags: [], env: { CGO_ENABLED: '0' } },
  { name: 'kube-router', programs: ['kube-router'], ldflags: [], env: {} },
  { name: 'traefik', programs: ['traefik'], ldflags: [], env: {} },
];

const STAMPS = join(STATE, 'build');

/** True when the programs of a room are there, made of what its folder says now. */
export function isBuilt(name: string): boolean {
  const room = roomOf(name);
  const stamp = stampFile(room);
  return (
    room.programs.every((program) => existsSync(join(BIN, program))) &&
    existsSync(stamp) &&
    readFileSync(stamp, 'utf8') === inputsOf(room)
  );
}

/**
 * Starts to build every room that isn't built: one after another, as each uses all processors, and the last one in the background of
 * them all. The promise of each, by its name; a failure is its awaiter's to meet.
 */
export function buildAll(): Map<string, Promise<void>> {
  const builds = new Map<string, Promise<void>>();
  let last: Promise<void> = Promise.resolve();
  for (const { name } of ROOMS) {
    const built = name === IN_BACKGROUND ? build(name) : last.then(() => build(name));
    if (name !== IN_BACKGROUND) last = built;
    built.catch(() => {});
    builds.set(name, built);
  }
  return builds;
}

/** Builds one room unless it is built. Progress tells which of the four, how long, and what is being compiled. */
export async function build(name: string): Promise<void> {
  const room = roomOf(name);
  if (isBuilt(name)) return;
  await requireGo();
  const number = ROOMS.indexOf(room) + 1;
  const log = join(LOGS, `build-${name}.log`);
  await step(`building ${name} (${number} of ${ROOMS.length})`, async (current) => {
    mkdirSync(STAMPS, { recursive: true });
    mkdirSync(BIN, { recursive: true });
    rmSync(stampFile(room), { force: true });
    rmSync(log, { force: true });
    // The compilers are many and short-lived: collecting less garbage costs memory that is there, and saves a tenth of their time.
    const env = { GOGC: '400', GOBIN: BIN, GOFLAGS: '-mod=readonly', GOTOOLCHAIN: 'auto', GOWORK: 'off', ...room.env };
    const cwd = join(ROOT, 'tools', name);
    current.detail = 'fetching modules, linking what is compiled already';
    let compiled = 0;
    const priority = room.name === IN_BACKGROUND ? '15' : '0';
    await run('nice', ['-n', priority, 'go', 'install', '-v', ...flagsOf(room), 'tool'], {
      cwd,
      env,
      log,
      onOutput(text) {
        const lines = text
          .trim()
          .split('\n')
          .filter((line) => !line.startsWith('go: '));
        compiled += lines.length;
        if (lines.length > 0) current.detail = `${compiled} packages compiled, now ${lines.at(-1)}`;
      },
    });
    writeFileSync(stampFile(room), inputsOf(room));
  });
}

function flagsOf(room: Room): string[] {
  return ['-trimpath', '-buildvcs=false', `-ldflags=${['-s', '-w', ...room.ldflags].join(' ')}`];
}

function roomOf(name: string): Room {
  const room = ROOMS.find((candidate) => candidate.name === name);
  if (room === undefined) throw new Error(`There is no tools/${name}.`);
  return room;
}

function stampFile(room: Room): string {
  return join(STAMPS, room.name);
}

/** What the room's programs are made of. */
export function inputsOf(room: Room): string {
  const folder = join(ROOT, 'tools', room.name);
  return digest({
    texts: [...flagsOf(room), JSON.stringify(room.env)],
    paths: readdirSync(folder)
      .sort()
      .map((name) => join(folder, name)),
  });
}

async function requireGo(): Promise<void> {
  const ran = await tryRun('go', ['version']).catch(() => undefined);
  if (ran?.code !== 0)
    throw new Fault('Go is missing: install Go 1.26 or newer (https://go.dev/dl) and run this again.');
}
