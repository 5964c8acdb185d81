/** A client of either era through the gateway to a real bank server on a real Postgres: what one seals, the others open. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  bankPath,
  createLogger,
  createRegistry,
  deriveSealKey,
  loadConfig,
  SECRET_DATABASE_URL,
  SECRET_SEAL_KEYS,
} from '@bankhouse/core';
import { type Assembly, assembleGateway, configSchema, Revocations, readBank, readPod } from '@bankhouse/gateway';
import { type BankServer, loadServerConfig, startBankServer, type Tool, toolsetsNamed } from '@bankhouse/server';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { exportJWK, generateKeyPair } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { goodClaims, signToken } from '../../harness/bad-requests.ts';
import { createBank, startPostgres, type TestBank, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { bankObject, podObject, uidOf } from '../../harness/routed.ts';
import { SOON } from '../../harness/soon.ts';
import { addNote, write } from '../live/support.ts';

/** Tools of another server, which no gateway has built in, with names that say the contrary of what they do. */
const OTHERS = (['write', 'read'] as const).map(
  (access): Tool => ({
    name: access === 'write' ? 'get_stuff_delete_all' : 'delete_nothing',
    title: access,
    description: `Says that it can ${access}.`,
    access,
    place: 'remote',
    inputSchema: { type: 'object', properties: {} },
    call: async (_args, { caller }) => ({ content: [], structuredContent: { access: caller.assertion.access } }),
  }),
);

const FRONT_DOOR = 'https://mcp.example.com';
const root = randomBytes(32);
const keys = await generateKeyPair('ES256', { extractable: true });
const logger = createLogger({ component: 'test', level: 'silent' });
const dir = mkdtempSync(join(tmpdir(), 'bankhouse-gateway-'));
let postgres: TestPostgres;
let server: BankServer;
let assembly: Assembly;
let revocations: Revocations;
let bank: TestBank;
let jwks: Server;
let wire: Server;
/** What the gateway sent to the bank's pod last. */
let seen: IncomingHttpHeaders = {};
/** Of the pod, which is known to prove itself: every answer in this file has to (G9). */
const IMAGE = 'registry.example.com/bankhouse/server@sha256:1234';
/** What has the pod's address now, where that is not the pod. */
let another: ((incoming: IncomingMessage, response: ServerResponse) => void) | undefined;
let url: string;

beforeAll(async () => {
  postgres = await startPostgres();
  const vaults = ['sales', 'support'].map((id) => ({ id, displayName: id }));
  bank = await createBank(postgres, 'acme', { root, vaults, uid: uidOf('acme') });
  writeFileSync(join(dir, SECRET_DATABASE_URL), bank.url);
  const podKey = deriveSealKey(root, 'pod', 'acme', uidOf('acme'), 1).toString('base64');
  writeFileSync(join(dir, SECRET_SEAL_KEYS), JSON.stringify({ 1: podKey }));
  const serverConfig = loadServerConfig({ BANK_ID: 'acme', SECRET_DIR: dir, PORT: '0' });
  const others = { name: 'others', instructions: '', tools: OTHERS, resources: [] };
  server = await startBankServer(serverConfig, logger, {
    toolsets: [...toolsetsNamed(serverConfig.toolsets), others],
  });
  wire = listenIn(server.port).listen(0, '127.0.0.1');
  await once(wire, 'listening');
  const published = JSON.stringify({ keys: [{ ...(await exportJWK(keys.publicKey)), kid: 'k' }] });
  jwks = createServer((_request, response) => response.end(published)).listen(0, '127.0.0.1');
  await once(jwks, 'listening');
  const config = loadConfig(configSchema, {
    FRONT_DOOR_URL: FRONT_DOOR,
    ROOT_KEY: root.toString('base64'),
    DATABASE_URL: postgres.serviceUrl('gateway'),
    TRUSTED_ISSUERS: JSON.stringify([
      { issuer: FRONT_DOOR, jwksUrl: `http://127.0.0.1:${(jwks.address() as AddressInfo).port}/` },
    ]),
  });
  revocations = new Revocations(3_600_000);
  revocations.confirm(performance.now());
  assembly = assembleGateway({
    config,
    revocations,
    registry: createRegistry('gateway'),
    logger,
    podPort: (wire.address() as AddressInfo).port,
  });
  assembly.table.setBank('banks/acme', readBank(bankObject('acme', { provenImages: [IMAGE] })));
  assembly.table.setPod('banks/pod', readPod(podObject('acme', '127.0.0.1', { imageID: IMAGE })));
  await assembly.start();
  url = `http://127.0.0.1:${await assembly.gateway.listen(0, '127.0.0.1')}${bankPath('acme')}`;
});

afterAll(async () => {
  await assembly?.stop(0);
  await server?.stop();
  jwks?.close();
  wire?.close();
  await postgres?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Passes on what comes, and what is answered, and keeps the headers: what a taken-over pod sees. */
function listenIn(port: number): Server {
  return createServer((incoming, response) => {
    seen = incoming.headers;
    if (another !== undefined) return another(incoming, response);
    const { method, url: path, headers } = incoming;
    const onward = request({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      response.flushHeaders();
      answer.pipe(response).on('error', () => {});
      response.on('close', () => answer.destroy());
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    incoming.pipe(onward);
  });
}

async function connect(era: string, claims: object, query = ''): Promise<Client & AsyncDisposable> {
  const now = Math.floor(Date.now() / 1000);
  const good = goodClaims({ frontDoor: FRONT_DOOR, bank: 'acme', issuer: FRONT_DOOR, now });
  const token = await signToken(keys.privateKey, { alg: 'ES256', typ: 'at+jwt', kid: 'k' }, { ...good, ...claims });
  const client = new Client(
    { name: era, version: '1' },
    era === 'modern' ? { versionNegotiation: { mode: { pin: '2026-07-28' } } } : {},
  );
  const requestInit = { headers: { authorization: `Bearer ${token}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}${query}`), { requestInit }));
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.close() });
}

describe.each(['modern', 'legacy'])('a %s client', (era) => {
  it.each<[string, object, string[]]>([
    ['all vaults', {}, ['sales', 'support']],
    ['the vaults of its token (R1.3)', { vault_ids: ['sales'] }, ['sales']],
    ['no vault with an empty list', { vault_ids: [] }, []],
  ])('sees %s', async (_name, claims, expected) => {
    await using client = await connect(era, claims);
    expect((await client.listTools()).tools.length).toBeGreaterThan(3);
    const result = await client.callTool({ name: 'list_vaults', arguments: {} });
    const { vaults } = result.structuredContent as { vaults: { id: string }[] };
    expect(vaults.map(({ id }) => id)).toEqual(expected);
  });

  it.each<[string, string[]]>([
    ['', ['list_vaults', 'list_recordings']],
    ['?tools=compact', ['list_vaults', 'get_transcript']],
    ['?tools=search&access_token=x', ['find_tools', 'call_tool']],
  ])('lists with %s what its URL asks for, and calls what it likes', async (query, first) => {
    await using client = await connect(era, {}, query);
    expect((await client.listTools()).tools.slice(0, 2).map(({ name }) => name)).toEqual(first);
    for (const name of ['list_vaults', 'find_tools']) {
      const { isError } = await client.callTool({ name, arguments: name === 'find_tools' ? { query: 'vaults' } : {} });
      expect(isError).not.toBe(true);
    }
  });

  it('that only reads calls readers through call_tool, and is refused writers by 403', async () => {
    await using client = await connect(era, { scope: 'mcp:read' }, '?tools=search');
    const read = await client.callTool({ name: 'call_tool', arguments: { name: 'list_vaults' } });
    expect(read.structuredContent).toMatchObject({ vaults: [{ id: 'sales' }, { id: 'support' }] });
    const write = { name: 'call_tool', arguments: { name: 'create_note', arguments: { title: 'x' } } };
    await expect(client.callTool(write)).rejects.toThrow('Insufficient scope: required "mcp:read mcp:write"');
  });

  it.each<[string, object, RegExp]>([
    ['names no tool', { name: 'list_note' }, /There is no tool "list_note".*Did you mean/],
    ['has wrong arguments', { name: 'list_notes', arguments: 5 }, /arguments/],
    ['says nothing', {}, /name: it is missing/],
  ])('hears in words of the bank what is wrong with a call_tool that %s', async (_sentence, args, words) => {
    await using client = await connect(era, { scope: 'mcp:read mcp:write' });
    const { isError, content } = await client.callTool({ name: 'call_tool', arguments: { ...args } });
    expect([isError, JSON.stringify(content).replaceAll('\\"', '"')]).toEqual([true, expect.stringMatching(words)]);
  });

  it('that may only verify shakes hands and lists, and is refused a tool by 403', async () => {
    await using client = await connect(era, { scope: 'mcp:verify', vault_ids: [] });
    await client.listTools();
    await expect(client.callTool({ name: 'list_vaults', arguments: {} })).rejects.toThrow(/scope|403/i);
  });

  it.each([
    ['get_stuff.delete_all', 'mcp:read'],
    ['delete_everything', 'mcp:read'],
    ['delete_everything', 'mcp:write'],
    ['Create_Note', 'mcp:read'],
  ])('G12: hears of the bank that there is no tool %s, whether it has %s or more', async (name, scope) => {
    await using client = await connect(era, { scope });
    await expect(client.callTool({ name, arguments: {} })).rejects.toMatchObject({
      code: -32602,
      message: expect.stringContaining(`There is no tool ${name}; tools/list names them.`),
    });
  });

  it('G12: needs write for what the bank says can write, and read for the rest', async () => {
    await using client = await connect(era, { scope: 'mcp:read' });
    const { tools } = await client.listTools();
    expect(tools.length).toBeGreaterThan(40);
    for (const { name, annotations } of tools) {
      // Without arguments: what is let through is refused by the tool, and changes nothing.
      const answer = await client.callTool({ name, arguments: {} }).then(
        () => 'taken',
        (error: unknown) => (/scope|403/i.test(String(error)) ? 'refused' : error),
      );
      expect([name, answer]).toEqual([name, annotations?.readOnlyHint === true ? 'taken' : 'refused']);
    }
  });
});

describe("a tool of the bank's own catalogue", () => {
  /** What a gateway that has just started knows: nothing. */
  const forget = () => {
    assembly.table.setBank('banks/acme', undefined);
    assembly.table.setBank('banks/acme', readBank(bankObject('acme', { provenImages: [IMAGE] })));
  };

  it.each([
    ['get_stuff_delete_all', 'mcp:read mcp:write', 'write'],
    ['delete_nothing', 'mcp:read mcp:write', 'read'],
    ['delete_nothing', 'mcp:read', 'read'],
  ])('%s is called with %s for %s, in the first call to the bank', async (name, scope, access) => {
    await using client = await connect('modern', { scope });
    forget();
    const { structuredContent } = await client.callTool({ name, arguments: {} });
    expect(structuredContent).toEqual({ access });
  });

  it('that writes is refused who only reads, by the gateway and with a challenge', async () => {
    await using client = await connect('modern', { scope: 'mcp:read' });
    forget();
    const call = client.callTool({ name: 'get_stuff_delete_all', arguments: {} });
    await expect(call).rejects.toThrow(/scope|403/i);
    expect(seen['bankhouse-database-assertion']).toBeUndefined();
  });
});

describe('a legacy client that listens', () => {
  it('is told what it watches and may see, and ends its session', async () => {
    await using client = await connect('legacy', { vault_ids: ['sales'] });
    const heard: string[] = [];
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
      heard.push(params.uri);
    });
    const feeds = () =>
      withClient(postgres.superuserUrl, async (sql) => {
        const { rows } = await sql.query<{ n: number }>(
          "select count(*)::int as n from bank.feeds where vaults = '{sales}'",
        );
        return rows[0]?.n;
      });
    await client.subscribeResource({ uri: 'bankhouse://acme/notes' });
    await client.subscribeResource({ uri: 'bankhouse://acme/tasks' });
    await expect.poll(feeds, SOON).toBe(1);
    await write(bank, (sql) => addNote(sql, 'support'));
    await write(bank, (sql) => addNote(sql, 'sales'));
    await expect.poll(() => heard, SOON).toEqual(['bankhouse://acme/notes']);
    await (client.transport as StreamableHTTPClientTransport).terminateSession();
    await expect.poll(feeds, SOON).toBe(0);
  });
});

describe("G7: a taken-over pod that keeps a call's assertion", () => {
  const all = { scope: 'mcp:read mcp:write' };
  const create = "select api.create_row('note', $1)";
  const note = JSON.stringify({ title: 'not asked for', vaultId: 'sales' });

  /** The assertions of one call by a client whose token is for everything. */
  async function keptOf(name: string, args: object): Promise<{ pod: string; database: string }> {
    await using client = await connect('modern', all);
    const answer = await client.callTool({ name, arguments: { ...args } });
    expect(answer.isError ?? false, JSON.stringify(answer.content)).toBe(false);
    return { pod: String(seen['bankhouse-assertion']), database: String(seen['bankhouse-database-assertion']) };
  }

  function ask(sealed: string, text: string, values: unknown[] = []) {
    return withClient(bank.url, async (sql) => {
      await sql.query('begin read write');
      await sql.query("select set_config('bankhouse.assertion', $1, true)", [sealed]);
      return (await sql.query(text, values)).rows;
    });
  }

  it.each([
    ['of a read', 'list_notes', {}],
    ['of a read through call_tool', 'call_tool', { name: 'list_notes' }],
  ])('%s can read by it, and write nothing, by any statement or by its own door', async (_sentence, name, args) => {
    const kept = await keptOf(name, args);
    expect(await ask(kept.database, 'select id from api.list_vaults()')).toHaveLength(2);
    await expect(ask(kept.database, create, [note])).rejects.toMatchObject({ code: '42501' });
    const answer = await fetch(`http://127.0.0.1:${server.port}${bankPath('acme')}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'bankhouse-assertion': kept.pod,
        'bankhouse-database-assertion': kept.database,
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'create_note' } }),
    });
    expect(answer.status).toBe(403);
  });

  it('of a handshake can do nothing with it', async () => {
    await using client = await connect('modern', all);
    await client.listTools();
    const kept = String(seen['bankhouse-database-assertion']);
    expect(await ask(kept, 'select id from api.list_vaults()')).toEqual([]);
    await expect(ask(kept, create, [note])).rejects.toMatchObject({ code: '42501' });
    await expect(ask(kept, 'select * from api.open_feed()')).rejects.toMatchObject({ code: '42501' });
  });

  const wanted = { title: 'asked for', vaultId: 'sales' };
  it.each([
    ['of a write', 'create_note', wanted],
    ['of a write through call_tool', 'call_tool', { name: 'create_note', arguments: wanted }],
  ])('%s writes by it', async (_sentence, name, args) => {
    const kept = await keptOf(name, args);
    expect(await ask(kept.database, create, [note])).toHaveLength(1);
  });
});

describe('G9: what has the address of a pod and not its key', () => {
  const said = { tools: [{ name: 'send_money', inputSchema: { type: 'object' } }] };
  const answers = (headers: (incoming: IncomingMessage) => Record<string, string>) =>
    ((incoming, response) => {
      incoming.resume().on('end', () => {
        response.writeHead(200, { 'content-type': 'application/json', ...headers(incoming) });
        response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result: said }));
      });
    }) satisfies typeof another;

  it.each<[string, NonNullable<typeof another>]>([
    ['answers as if nobody looked', answers(() => ({}))],
    [
      'answers with what it was sent',
      answers((it) => ({ 'bankhouse-proof': String(it.headers['bankhouse-assertion']) })),
    ],
    ['refuses', (incoming, response) => incoming.resume().on('end', () => response.writeHead(404).end('nobody'))],
  ])('%s: a client hears that nothing proved it, and nothing else', async (_sentence, impostor) => {
    await using client = await connect('modern', {});
    another = impostor;
    try {
      await expect(client.listTools()).rejects.toThrow(/has not shown that it is the bank's server/);
    } finally {
      another = undefined;
    }
    expect((await client.listTools()).tools.length).toBeGreaterThan(3);
  });
});

describe('a client that listens (R3.11)', () => {
  const filter = { resourceSubscriptions: ['bankhouse://acme/notes'], resourcesListChanged: true };

  it('hears at once of its own vault, through the gateway', async () => {
    await using client = await connect('modern', { vault_ids: ['sales'] });
    const heard: string[] = [];
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
      heard.push(params.uri);
    });
    const subscription = await client.listen(filter);
    await write(bank, (sql) => addNote(sql, 'support'));
    await write(bank, (sql) => addNote(sql, 'sales'));
    await expect.poll(() => heard, { timeout: 3000 }).toEqual(['bankhouse://acme/notes']);
    await subscription.close();
  });

  it('is cut within a second when its token is revoked (R1.4), also when nothing changes', async () => {
    const jti = randomBytes(8).toString('hex');
    await using client = await connect('modern', { jti });
    const { closed } = await client.listen(filter);
    const revokedAt = performance.now();
    revocations.add({ jti, exp: Math.floor(Date.now() / 1000) + 300 });
    assembly.sweep();
    expect(await closed).toBe('remote');
    expect(performance.now() - revokedAt).toBeLessThan(1000);
  });
});
