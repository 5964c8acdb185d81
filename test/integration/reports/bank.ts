/** A bank behind the gateway, asked by hand: byte for byte what a client of some make sends, with nothing that a library would add. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { ToolProfile } from '@bankhouse/core';
import { toolsetsNamed } from '@bankhouse/server';
import { openFrontDoor } from '../../harness/front-door.ts';
import { startPostgres } from '../../harness/postgres.ts';
import { runBank } from '../server/support.ts';

export const ORIGIN = 'http://localhost:6274';
export const BOTH = 'application/json, text/event-stream';
export const MODERN = '2026-07-28';
export const OLDER = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'];

/** One report of people who run such servers, or connect to them, and what it asks of ours. */
export interface Report {
  /** A sentence about a bank. */
  readonly holds: string;
  /** The faults of ours of this kind (P1 to P10, T1 to T5), each of which began with public reports. */
  readonly fault?: string | undefined;
  /** `owner/repository#number` of a report of just this, where one is known. */
  readonly source?: string | undefined;
  check(bank: Bank): Promise<void>;
}

export type Headers = Readonly<Record<string, string>>;
type Json = Record<string, unknown>;

export interface Heard {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The body, where it is JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: read by tests as what they expect
  readonly json: any;
}

/** What a tool's answer holds, whichever part a client shows. */
export interface Said {
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: read by tests as what they expect
  readonly structured: any;
  readonly isError: boolean;
}

export interface Listed {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: Json;
}

export interface Bank extends AsyncDisposable {
  readonly id: string;
  /** As in the audience of its tokens, and its path. */
  readonly url: string;
  readonly path: string;
  token(claims?: object): Promise<string>;
  /** Without a header that isn't given but Host and a body's length. */
  send(method: string, options?: { path?: string; headers?: Headers; body?: string | Buffer }): Promise<Heard>;
  /** The same, where the answer goes on: its headers, and it, to be read. */
  open(method: string, options: { headers: Headers; body?: string }): Promise<IncomingMessage>;
  /** A message of an older client, in both types unless `headers` says otherwise. */
  post(message: unknown, headers?: Headers): Promise<Heard>;
  /** Of 2026-07-28. */
  ask(method: string, params?: Json): Promise<Heard>;
  /** Headers of an older client that has shaken hands. */
  begin(revision?: string): Promise<Headers>;
  call(tool: string, args?: unknown): Promise<Said>;
  tools(profile?: ToolProfile): Promise<Listed[]>;
}

export async function startBank(): Promise<Bank> {
  const postgres = await startPostgres();
  const root = randomBytes(32);
  const running = await runBank(postgres, 'acme', { root, toolsets: toolsetsNamed(['recordings', 'workspace']) });
  const door = await openFrontDoor(postgres, running, root, { env: { ALLOWED_ORIGINS: ORIGIN } });
  const { pathname: path, port } = new URL(door.url);
  const authorized = async (): Promise<Headers> => ({
    authorization: `Bearer ${await door.token()}`,
    'content-type': 'application/json',
  });
  const open: (method: string, target: string, headers: Headers, body?: string | Buffer) => Promise<IncomingMessage> =
    async (method, target, headers, body) => {
      const sent = request({ host: '127.0.0.1', port, method, path: target, headers, agent: false });
      sent.end(body);
      const [answer] = (await once(sent, 'response')) as [IncomingMessage];
      return answer;
    };
  const bank: Bank = {
    id: 'acme',
    url: door.url,
    path,
    token: (claims) => door.token(claims),
    open: (method, { headers, body }) => open(method, path, headers, body),
    async send(method, { path: target = path, headers = {}, body } = {}) {
      const answer = await open(method, target, headers, body);
      const said = await text(answer);
      const isJson = answer.headers['content-type']?.startsWith('application/json') === true && said !== '';
      const json = isJson ? JSON.parse(said) : undefined;
      return { status: answer.statusCode ?? 0, headers: answer.headers, body: said, json };
    },
    async post(message, headers = {}) {
      const body = typeof message === 'string' ? message : JSON.stringify(message);
      return bank.send('POST', { headers: { ...(await authorized()), accept: BOTH, ...headers }, body });
    },
    ask(method, params = {}) {
      const _meta = {
        'io.modelcontextprotocol/protocolVersion': MODERN,
        'io.modelcontextprotocol/clientCapabilities': {},
      };
      const named = params.name ?? params.uri;
      const headers = { 'mcp-protocol-version': MODERN, 'mcp-method': method };
      return bank.post(
        { jsonrpc: '2.0', id: 1, method, params: { ...params, _meta } },
        named === undefined ? headers : { ...headers, 'mcp-name': String(named) },
      );
    },
    async begin(revision = '2025-11-25') {
      const { headers, status, body } = await bank.post(initialize(revision));
      if (status !== 200) throw new Error(`initialize: ${status} ${body}`);
      const session = headers['mcp-session-id'];
      return {
        ...(await authorized()),
        'mcp-protocol-version': revision,
        ...(session === undefined ? {} : { 'mcp-session-id': String(session) }),
      };
    },
    async call(tool, args) {
      const { status, json, body } = await bank.ask('tools/call', {
        name: tool,
        ...(args === undefined ? {} : { arguments: args }),
      });
      if (status !== 200 || json.result === undefined) throw new Error(`${tool}: ${status} ${body}`);
      const { content, structuredContent, isError = false } = json.result;
      return {
        text: content.map((part: { text?: string }) => part.text).join(''),
        structured: structuredContent,
        isError,
      };
    },
    async tools(profile = 'full') {
      const listed = await bank.send('POST', {
        path: `${path}?tools=${profile}`,
        headers: { ...(await authorized()), accept: BOTH },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
      });
      return listed.json.result.tools;
    },
    async [Symbol.asyncDispose]() {
      await door[Symbol.asyncDispose]();
      await running[Symbol.asyncDispose]();
      await postgres.stop();
    },
  };
  return bank;
}

export const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} };
export const VAULTS = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'list_vaults', arguments: {} } };

export function initialize(protocolVersion: string) {
  const params = { protocolVersion, capabilities: {}, clientInfo: { name: 'somebody', version: '1' } };
  return { jsonrpc: '2.0', id: 0, method: 'initialize', params };
}
