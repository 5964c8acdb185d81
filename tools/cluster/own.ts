import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault, LOGS, NODE_STATE, ROOT, run, type Step, until } from '../shared/index.ts';
import { ourProcesses } from './cgroups.ts';
import { componentFiles } from './configs.ts';
import { PAUSE } from './node.ts';
import { createClusterCertificates } from './pki.ts';
import { STATUS_FILE, type Status } from './supervisor.ts';

export const SUPERVISOR_LOG = join(LOGS, 'supervisor.log');
/** Static, so that it is also the whole of an image. */
export const PAUSE_ARGS = ['-Os', '-static', '-s', '-o', PAUSE, new URL('pause.c', import.meta.url).pathname];

/** What the supervisor of this clone's cluster says, if it is alive. */
export function runningStatus(): Status | undefined {
  if (!existsSync(STATUS_FILE)) return undefined;
  const status = JSON.parse(readFileSync(STATUS_FILE, 'utf8')) as Status;
  return ourProcesses().includes(status.pid) ? status : undefined;
}

/** Writes all that a new cluster reads, and lets go of its supervisor. Expects that nothing of an earlier one is left. */
export async function startOwnCluster(): Promise<void> {
  for (const folder of ['cni', 'kubelet', 'volumes', 'pod-logs'])
    mkdirSync(join(NODE_STATE, folder), { recursive: true });
  rmSync(LOGS, { recursive: true, force: true });
  mkdirSync(LOGS, { recursive: true });
  await Promise.all([createClusterCertificates(), run('gcc', PAUSE_ARGS)]);
  const resolvConf = join(NODE_STATE, 'resolv.conf');
  writeFileSync(resolvConf, upstreamResolvConf());
  for (const [path, text] of Object.entries(componentFiles(resolvConf))) writeFileSync(path, text, { mode: 0o600 });
  await startSupervisor('node');
}

/** Starts the detached process that holds the cluster, and waits until it speaks. */
export async function startSupervisor(mode: 'node' | 'front-door', env: Record<string, string> = {}): Promise<void> {
  mkdirSync(LOGS, { recursive: true });
  const log = openSync(SUPERVISOR_LOG, 'a');
  const child = spawn(process.execPath, [new URL('supervise.ts', import.meta.url).pathname, mode], {
    detached: true,
    stdio: ['ignore', log, log],
    cwd: ROOT,
    env: { ...process.env, ...env },
  });
  child.unref();
  const hasSpoken = () => {
    if (child.exitCode !== null)
      throw new Fault('The supervisor of the cluster ended at its start.', { log: SUPERVISOR_LOG });
    return runningStatus();
  };
  await until('the supervisor', hasSpoken, { limitMs: 20_000, log: SUPERVISOR_LOG });
}

/** Waits until these components are ready; a Fault names the one that fails and its log. */
export async function waitFor(names: readonly string[], step: Step, limitMs = 120_000): Promise<void> {
  let end = performance.now() + limitMs;
  for (;;) {
    const status = runningStatus();
    if (status === undefined) throw new Fault('The cluster has ended while it was starting.', { log: SUPERVISOR_LOG });
    const pending = names.filter((name) => status.components[name]?.state !== 'ready');
    const [first] = pending;
    if (first === undefined) return;
    const failed = pending.find((name) => status.components[name]?.state === 'failed');
    if (failed !== undefined) {
      throw new Fault(`${failed} ends again and again: ${lastLine(failed)}`, { log: logOf(failed) });
    }
    const waitsForBuild = pending.every((name) => /the build/.test(status.components[name]?.waitsFor ?? ''));
    if (waitsForBuild) end = performance.now() + limitMs;
    if (performance.now() > end) {
      throw new Fault(`${first} is not ready after ${limitMs / 1000} s: ${lastLine(first)}`, { log: logOf(first) });
    }
    step.detail = `waiting for ${pending.join(', ')}`;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

function logOf(component: string): string {
  return join(LOGS, `${component}.log`);
}

function lastLine(component: string): string {
  const log = logOf(component);
  return existsSync(log) ? (readFileSync(log, 'utf8').trim().split('\n').at(-1) ?? '') : 'it has not been started';
}

/** The host's name servers, without those that only the host itself can reach. */
function upstreamResolvConf(): string {
  const files = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf'].filter((file) => existsSync(file));
  for (const file of files) {
    const lines = readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => /^nameserver\s/.test(line) && !/^nameserver\s+(127\.|::1)/.test(line));
    if (lines.length > 0) return `${lines.join('\n')}\n`;
  }
  return '';
}
