/**
 * A process of test/load/hostile-run.ts: clients that are in the way of others. It is told by its parent which attacks to begin (`Begin`),
 * says `running` when all of their connections are at work, and is told to `end`; then it says what they were answered. It ends with its
 * parent.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { bankPath, MCP_HEADERS, MODERN_REVISION } from '@bankhouse/core';
import { Pool } from 'undici';
import { BANK, LARGE } from './ways.ts';

export type Attack =
  /** 200 bodies that never end, of one subject: it has slots for 64. */
  | 'slow bodies of one subject'
  /** The same of 200 subjects. */
  | 'slow bodies of 200 subjects'
  /** Bodies in chunks of one byte, as fast as they are taken, up to a byte before their end. */
  | 'bodies in single bytes'
  /** 256 that read nothing: 128 calls with long answers, and 128 streams. */
  | 'slow readers'
  /** A thousand a second: random kids, wrong signatures, expired ones, and alg none. */
  | 'forged tokens';

export interface Begin {
  readonly attacks: readonly Attack[];
  readonly port: number;
  /** Good tokens of subjects of their own. */
  readonly tokens: readonly string[];
  /** Good but for their time. */
  readonly expired: readonly string[];
}

/** What was answered, by status and, where there is one, the code of the error; `closed`: connections that the gateway ended. */
export type Answers = Readonly<Record<string, number>>;

const HOST = '127.0.0.1';
const MIB = 1024 * 1024;
const SLOW_BODIES = 200;
const SINGLE_BYTE_BODIES = 4;
const READERS = 128;
/** Streams and calls have 64 of each subject. */
const READERS_A_SUBJECT = 64;
const DRIP_MS = 50;
const DRIP = 'x'.repeat(8);
const RETRY_MS = 1_000;
const FORGED_TICK_MS = 10;
const FORGED_A_TICK = 10;

const answers = new Map<string, number>();
const count = (what: string) => void answers.set(what, (answers.get(what) ?? 0) + 1);
const answered = new WeakSet<Socket>();
const endings: (() => unknown)[] = [];
/** With the code that an error has. */
const countStatus = (status: string, body: string) =>
  count([status, ...(/"code":"(\w+)"/.exec(body)?.slice(1) ?? [])].join(' '));
let isRunning = false;

function request(method: string, token: string, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries({ host: HOST, authorization: `Bearer ${token}`, ...headers });
  return `${method} ${bankPath(BANK)} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

const JSON_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const call = (tool: string) => ({
  ...JSON_HEADERS,
  [MCP_HEADERS.revision]: MODERN_REVISION,
  [MCP_HEADERS.method]: 'tools/call',
  [MCP_HEADERS.name]: tool,
});

/** A connection that is opened anew, a second later, when the gateway ends it or refuses. Resolves when it is there for the first time. */
function keepOpen(port: number, use: (socket: Socket) => void): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let socket: Socket;
  let timer: NodeJS.Timeout;
  const open = () => {
    if (!isRunning) return;
    socket = connect(port, HOST);
    socket.on('connect', () => {
      use(socket);
      resolve();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (!isRunning) return;
      if (!answered.has(socket)) count('closed');
      timer = setTimeout(open, RETRY_MS);
    });
  };
  open();
  endings.push(() => {
    clearTimeout(timer);
    socket.destroy();
  });
  return promise;
}

/** Counts the first answer of a connection, and ends it: no good came of it. */
function countAnswer(socket: Socket): void {
  socket.once('data', (data: Buffer) => {
    const text = data.toString('latin1');
    const [, status = '?'] = /^HTTP\/1\.1 (\d+)/.exec(text) ?? [];
    countStatus(status, text);
    answered.add(socket);
    socket.destroy();
  });
}

/** Of a client of before, whose body is read whole before anything is decided. */
const chunked = (token: string) => request('POST', token, { ...JSON_HEADERS, 'transfer-encoding': 'chunked' });

function slowBody(port: number, token: string): Promise<void> {
  return keepOpen(port, (socket) => {
    countAnswer(socket);
    socket.write(chunked(token));
    const drip = setInterval(() => socket.write(`${DRIP.length.toString(16)}\r\n${DRIP}\r\n`), DRIP_MS);
    socket.on('close', () => clearInterval(drip));
  });
}

/** Resolves when all but the last byte is sent. */
function singleBytes(port: number, token: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const some = '1\r\nx\r\n'.repeat(16 * 1024);
  void keepOpen(port, (socket) => {
    countAnswer(socket);
    socket.write(chunked(token));
    let left = MIB / (16 * 1024) - 1;
    const write = () => {
      if (left-- === 0) resolve();
      else if (!socket.destroyed) socket.write(some, write);
    };
    write();
    socket.on('close', resolve);
  });
  return promise;
}

function slowReader(port: number, token: string, kind: 'call' | 'stream'): Promise<void> {
  return keepOpen(port, (socket) => {
    socket.pause();
    if (kind === 'stream') socket.write(request('GET', token, { accept: 'text/event-stream' }));
    else {
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: LARGE } });
      socket.write(request('POST', token, { ...call(LARGE), 'content-length': String(body.length) }) + body);
    }
  });
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** By turns the four kinds; all but the expired ones are different each time, so that nothing is known of them. */
function forge(turn: number, { tokens, expired }: Begin): string {
  const [header = '', payload = ''] = (tokens[turn % tokens.length] ?? '').split('.');
  const signature = randomBytes(64).toString('base64url');
  switch (turn % 4) {
    case 0: {
      // As new as a key can be that the gateway has not heard of yet.
      const claims = {
        ...JSON.parse(Buffer.from(payload, 'base64url').toString()),
        iat: Math.floor(Date.now() / 1000),
      };
      return `${encode({ alg: 'ES256', typ: 'at+jwt', kid: randomBytes(16).toString('hex') })}.${encode(claims)}.${signature}`;
    }
    case 1:
      return `${header}.${payload}.${signature}`;
    case 2:
      return expired[Math.floor(turn / 4) % expired.length] ?? '';
    default:
      return `${encode({ alg: 'none', typ: 'at+jwt', kid: 'k', jti: turn })}.${payload}.${signature}`;
  }
}

function forgedTokens(begin: Begin): void {
  const pool = new Pool(`http://${HOST}:${begin.port}`, { connections: 32 });
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'list_recordings' } });
  let turn = 0;
  const send = async () => {
    try {
      const headers = { ...call('list_recordings'), authorization: `Bearer ${forge(turn++, begin)}` };
      const answer = await pool.request({ path: bankPath(BANK), method: 'POST', headers, body });
      countStatus(String(answer.statusCode), await answer.body.text());
    } catch {
      if (isRunning) count('failed');
    }
  };
  const timer = setInterval(() => {
    for (let sent = 0; sent < FORGED_A_TICK; sent++) void send();
  }, FORGED_TICK_MS);
  endings.push(() => {
    clearInterval(timer);
    return pool.destroy();
  });
}

async function begin(attack: Attack, told: Begin): Promise<unknown> {
  const { port, tokens } = told;
  /** The attacks of one subject have one each, so that together they are as many as alone. */
  const many = (clients: number, ofSubject: number, first: number, start: (token: string) => Promise<void>) =>
    Promise.all(
      Array.from({ length: clients }, (_, client) => start(tokens[first + Math.floor(client / ofSubject)] ?? '')),
    );
  switch (attack) {
    case 'slow bodies of one subject':
      return many(SLOW_BODIES, SLOW_BODIES, 0, (token) => slowBody(port, token));
    case 'slow bodies of 200 subjects':
      return many(SLOW_BODIES, 1, 0, (token) => slowBody(port, token));
    case 'bodies in single bytes':
      return many(SINGLE_BYTE_BODIES, SINGLE_BYTE_BODIES, 1, (token) => singleBytes(port, token));
    case 'slow readers':
      await many(READERS, READERS_A_SUBJECT, 2, (token) => slowReader(port, token, 'call'));
      return many(READERS, READERS_A_SUBJECT, 2, (token) => slowReader(port, token, 'stream'));
    case 'forged tokens':
      return forgedTokens(told);
  }
}

process.on('disconnect', () => process.exit());
process.on('message', async (message: Begin | 'end') => {
  if (message === 'end') {
    isRunning = false;
    await Promise.all(endings.splice(0).map((end) => end()));
    process.send?.(Object.fromEntries(answers));
    answers.clear();
  } else {
    isRunning = true;
    await Promise.all(message.attacks.map((attack) => begin(attack, message)));
    process.send?.('running');
  }
});
