/** What a bank server tells its gateway of itself (ADR 37): to nobody else, and with every answer that it is asked in. */
import {
  BUILT_IN_CATALOGUE,
  CATALOGUE_HEADER,
  CATALOGUE_PATH,
  CATALOGUE_WANTED,
  catalogueDigest,
  checkProof,
  createLogger,
  deriveSealKey,
  readCatalogue,
} from '@bankhouse/core';
import { afterAll, describe, expect, it } from 'vitest';
import { startBankServer } from '../src/bank-server.ts';
import { loadServerConfig } from '../src/config.ts';
import type { Database } from '../src/database/database.ts';
import { catalogueTool, offeredCatalogue } from '../src/mcp/offered.ts';
import { buildSurface } from '../src/mcp/surface.ts';
import type { RemoteTool } from '../src/mcp/toolset.ts';
import { toolsetsNamed } from '../src/toolsets/index.ts';
import { ALL_TOOLSETS, makeAssertion, makeSecretDir, ROOT_KEY, sealedHeaders, UID } from './fixtures.ts';

const logger = createLogger({ component: 'test', level: 'silent' });
/** Nothing here needs it. */
const database: Database = {
  withCaller: () => Promise.reject(new Error('no database')),
  loginIsRefused: () => Promise.resolve(false),
  close: () => Promise.resolve(),
};
const config = loadServerConfig({ BANK_ID: 'acme', SECRET_DIR: makeSecretDir('acme').dir, PORT: '0' });
const server = await startBankServer(config, logger, { toolsets: ALL_TOOLSETS, database });
afterAll(() => server.stop());

const KEY = deriveSealKey(ROOT_KEY, 'pod', 'acme', UID, 1);
/** As the gateway asks: nothing of the bank is opened, and nothing for the database is there. */
const question = () => {
  const sealed = sealedHeaders(makeAssertion('acme', { access: 'none', scopes: [], vaults: [] }));
  return { 'bankhouse-assertion': sealed['bankhouse-assertion'] };
};

async function ask(headers: Record<string, string>, method = 'GET', path: string = CATALOGUE_PATH) {
  const answer = await fetch(`http://127.0.0.1:${server.port}${path}`, { method, headers });
  const body = Buffer.from(await answer.arrayBuffer());
  const proof = answer.headers.get('bankhouse-proof');
  const proves = (said?: string) =>
    proof !== null && checkProof(proof, headers['bankhouse-assertion'] ?? '', KEY, said) === 1;
  return { status: answer.status, headers: answer.headers, body, proof, proves };
}

describe('the catalogue of a bank server', () => {
  it('has all that it offers, and the proof of every byte', async () => {
    const { status, body, proves } = await ask(question());
    expect([status, proves(catalogueDigest(body)), proves()]).toEqual([200, true, false]);
    expect(readCatalogue(body).tools).toEqual(new Map(BUILT_IN_CATALOGUE.tools));
    const { prompts, resources } = JSON.parse(body.toString());
    expect(prompts).toContainEqual(['weekly_digest', 'read']);
    expect(resources).toContainEqual(['bankhouse://{bank}/notes/{id}', 'read']);
  });

  it.each<[string, Record<string, string>, string, number]>([
    ['without a seal', {}, 'GET', 401],
    ["with another bank's", sealedHeaders(makeAssertion('acme'), { bank: 'globex' }), 'GET', 401],
    ['made for another bank', sealedHeaders(makeAssertion('globex'), { bank: 'acme' }), 'GET', 401],
    ['with an old one', sealedHeaders(makeAssertion('acme', { iat: 0 })), 'GET', 401],
    ['by another method', question(), 'POST', 405],
  ])('is not given to who asks %s', async (_sentence, headers, method, status) => {
    const { status: answered, body, proof } = await ask(headers, method);
    expect([answered, body.includes('create_note'), proof]).toEqual([status, false, null]);
  });

  it('does not open the way of the calls: that wants a seal for the database', async () => {
    expect((await ask(question(), 'POST', '/mcp/bank-acme')).status).toBe(401);
  });

  it('is named and sealed in every answer to a gateway that asks, and to one of the version before in none', async () => {
    const digest = catalogueDigest((await ask(question())).body);
    const headers = { ...sealedHeaders(makeAssertion('acme')), [CATALOGUE_HEADER]: CATALOGUE_WANTED };
    const asked = await ask(headers, 'PUT', '/mcp/bank-acme');
    expect([asked.headers.get(CATALOGUE_HEADER), asked.proves(digest), asked.proves()]).toEqual([digest, true, false]);
    const before = await ask(sealedHeaders(makeAssertion('acme')), 'PUT', '/mcp/bank-acme');
    expect([before.headers.get(CATALOGUE_HEADER), before.proves()]).toEqual([null, true]);
  });

  const order = (description: string): RemoteTool => ({
    name: 'amazon_order',
    title: 'Order',
    description,
    access: 'write',
    place: 'remote',
    inputSchema: { type: 'object', properties: {} },
    call: () => Promise.reject(new Error('unused')),
  });

  it('is another one when other tools, or other words of a tool, are attached', () => {
    const surface = buildSurface(ALL_TOOLSETS);
    const own = surface.tools.all().filter(({ name }) => name !== 'find_tools' && name !== 'call_tool');
    const catalogue = offeredCatalogue(surface);
    const before = catalogue();
    expect(catalogue()).toBe(before);
    const digests = [[order('Orders.')], [order('Orders at once.')], []].map((attached) => {
      surface.tools.replace([...own, ...attached]);
      const { text, digest } = catalogue();
      expect(readCatalogue(Buffer.from(text)).tools.get('amazon_order')?.access).toBe(attached[0]?.access);
      return digest;
    });
    expect(new Set([before.digest, ...digests]).size).toBe(3);
    expect(digests[2]).toBe(before.digest);
  });

  it("has an attached tool's own words, also where it has the name of one of ours that is off", () => {
    const surface = buildSurface([
      ...toolsetsNamed(['recordings']),
      { name: 'x', instructions: '', tools: [{ ...order('Orders.'), name: 'create_note' }], resources: [] },
    ]);
    const tool = surface.tools.get('create_note') as RemoteTool;
    const { tools } = readCatalogue(Buffer.from(offeredCatalogue(surface)().text));
    expect(tools.get('create_note')).toEqual(catalogueTool(tool));
    expect(tools.get('create_note')?.digest).not.toBe(BUILT_IN_CATALOGUE.tools.get('create_note')?.digest);
  });
});
