import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isBuilt } from '../build/index.ts';
import { LOGS, NODE_STATE } from '../shared/index.ts';
import type { Component, Readiness } from './components.ts';
import { API_PORT, NODE_ADDRESS, NODE_NAME } from './names.ts';
import { clusterPair } from './pki.ts';

export const STATUS_FILE = join(NODE_STATE, 'status.json');
const POLL_MS = 25;
const FIRST_BACKOFF_MS = 250;
const LONGEST_BACKOFF_MS = 10_000;
/** A component that ended this often without ever having been ready won't. */
const HOPELESS_AFTER = 8;

/**
 * | state    | next                                                              |
 * |----------|-------------------------------------------------------------------|
 * | waiting  | starting, when it is built and those before it are ready          |
 * | starting | ready; waiting, when it ended; failed, when it did so too often    |
 * | ready    | waiting, when it ended                                            |
 * | failed   | none                                                              |
 */
export type ComponentState = 'waiting' | 'starting' | 'ready' | 'failed';

export interface Status {
  /** The supervisor's. */
  pid: number;
  /** The node's process 1; 0 where there is none. */
  node: number;
  components: Record<
    string,
    {
      state: ComponentState /** Not built yet, or before whom it waits. */;
      waitsFor: string;
      restarts: number;
      readyAfterMs: number;
    }
  >;
}

/** Starts components in their order, keeps them running and tells about them in STATUS_FILE. Never ends. */
export class Supervisor {
  readonly #status: Status;
  readonly #components: readonly Component[];
  readonly #start = performance.now();
  readonly #children = new Map<string, { child: ChildProcess; ended: Promise<void> }>();
  #isStopping = false;

  constructor(components: readonly Component[], nodePid: number) {
    this.#components = components;
    const fresh = () => ({ state: 'waiting' as ComponentState, waitsFor: '', restarts: 0, readyAfterMs: 0 });
    this.#status = {
      pid: process.pid,
      node: nodePid,
      components: Object.fromEntries(components.map(({ name }) => [name, fresh()])),
    };
    this.#write();
  }

  async run(): Promise<void> {
    await Promise.all(this.#components.map((component) => this.#keepRunning(component)));
  }

  /** Ends what runs on the host, starts nothing again, and waits until all has ended; the node's processes end with the node. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const children = [...this.#children.values()];
    for (const { child } of children) child.kill('SIGKILL');
    await Promise.all(children.map(({ ended }) => ended));
  }

  async #keepRunning(component: Component): Promise<void> {
    const own = this.#of(component.name);
    let backoff = FIRST_BACKOFF_MS;
    let everReady = false;
    for (;;) {
      await this.#untilStartable(component);
      if (this.#isStopping) return;
      this.#set(component.name, 'starting');
      const child = this.#spawn(component);
      const ended = new Promise<void>((resolve) => {
        child.once('exit', () => resolve());
        child.once('error', () => resolve());
      });
      this.#children.set(component.name, { child, ended });
      let running = true;
      ended.then(() => {
        running = false;
      });
      while (running && own.state !== 'ready') {
        if (await isReady(component, this.#status.node)) this.#set(component.name, 'ready');
        else await delay(POLL_MS);
      }
      if (own.state === 'ready') {
        everReady = true;
        backoff = FIRST_BACKOFF_MS;
      }
      await ended;
      this.#children.delete(component.name);
      if (this.#isStopping) return;
      own.restarts += 1;
      if (!everReady && own.restarts >= HOPELESS_AFTER) {
        this.#set(component.name, 'failed');
        return;
      }
      this.#set(component.name, 'waiting');
      await delay(backoff);
      backoff = Math.min(backoff * 2, LONGEST_BACKOFF_MS);
    }
  }

  async #untilStartable(component: Component): Promise<void> {
    const own = this.#of(component.name);
    for (;;) {
      // Only for the first start does it wait for others: they may be restarting too.
      const before = own.restarts > 0 ? undefined : component.after.find((name) => this.#of(name).state !== 'ready');
      const waitsFor = before ?? (isBuilt(component.room) ? '' : `the build of ${component.room}`);
      if (waitsFor === '') return;
      if (waitsFor !== own.waitsFor) {
        own.waitsFor = waitsFor;
        this.#write();
      }
      await delay(before === undefined ? 500 : POLL_MS);
    }
  }

  #spawn(component: Component): ChildProcess {
    const log = openSync(join(LOGS, `${component.name}.log`), 'a');
    const [program = '', ...args] = component.command;
    const enter = ['nsenter', '-t', String(this.#status.node), '-n', '-m', '-p', '-u', '-i', '--wd=/'];
    const [first = '', ...rest] = [
      ...['setpriv', '--pdeathsig', 'KILL'],
      ...(component.place === 'node' ? enter : []),
      ...[program, ...args],
    ];
    const env = { PATH: process.env.PATH, HOME: '/root', LANG: 'C.UTF-8', ...component.env };
    return spawn(first, rest, { stdio: ['ignore', log, log], cwd: '/', env });
  }

  #of(name: string): Status['components'][string] {
    const found = this.#status.components[name];
    if (found === undefined) throw new Error(`There is no component ${name}.`);
    return found;
  }

  #set(name: string, state: ComponentState): void {
    const own = this.#of(name);
    own.state = state;
    own.waitsFor = '';
    if (state === 'ready') own.readyAfterMs = Math.round(performance.now() - this.#start);
    this.#write();
  }

  #write(): void {
    writeFileSync(`${STATUS_FILE}.new`, JSON.stringify(this.#status, null, 1));
    renameSync(`${STATUS_FILE}.new`, STATUS_FILE);
  }
}

function isReady(component: Component, nodePid: number): boolean | Promise<boolean> {
  const { ready, place } = component;
  switch (ready.kind) {
    case 'port':
      return listens(place === 'node' ? `/proc/${nodePid}/net` : '/proc/self/net', ready.port);
    case 'socket':
      return accepts(`/proc/${nodePid}/root${ready.path}`);
    case 'api':
      return answers(ready.path, () => true);
    case 'node':
      return answers(`/api/v1/nodes/${NODE_NAME}`, isNodeReady);
    default:
      return assertNever(ready);
  }
}

/** Whether a socket listens on the port, in the network namespace whose /proc/…/net this is. */
function listens(net: string, port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return ['tcp', 'tcp6'].some((file) => {
    try {
      // Local address, remote address, state: 0A is listening.
      return new RegExp(`^ *\\d+: [0-9A-F]+:${hex} [0-9A-F:]+ 0A `, 'm').test(readFileSync(join(net, file), 'utf8'));
    } catch {
      return false;
    }
  });
}

function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    const end = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => end(true)).once('error', () => end(false));
  });
}

let agent: Agent | undefined;

/** Whether the API server answers 200, asked as admin, and the body is as wanted. */
function answers(path: string, isWanted: (body: string) => boolean): Promise<boolean> {
  agent ??= new Agent({
    ca: readFileSync(clusterPair('ca').cert),
    cert: readFileSync(clusterPair('admin').cert),
    key: readFileSync(clusterPair('admin').key),
    keepAlive: true,
  });
  return new Promise((resolve) => {
    const asking = request({ host: NODE_ADDRESS, port: API_PORT, path, agent, timeout: 2_000 }, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      answer.on('end', () => resolve(answer.statusCode === 200 && isWanted(body)));
      answer.on('error', () => resolve(false));
    });
    asking.on('error', () => resolve(false)).on('timeout', () => asking.destroy(new Error('timeout')));
    asking.end();
  });
}

function isNodeReady(body: string): boolean {
  const node = JSON.parse(body) as { status?: { conditions?: { type: string; status: string }[] } };
  return node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
}

function assertNever(value: never): never {
  throw new Error(`No readiness ${JSON.stringify(value satisfies Readiness)}.`);
}
