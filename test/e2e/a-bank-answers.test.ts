/** R0.1, R1.1, R1.2: an applied Bank answers MCP clients of both eras with every one of its calls, once. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  bankManifest,
  callTool,
  callToolPages,
  conditionOf,
  connect,
  type Era,
  getBank,
  kubectl,
  mintToken,
  platform,
  tryKubectl,
} from './platform.ts';
import { sampleManifest } from './samples.ts';

const ERAS: Era[] = ['modern', 'legacy'];

describe('a Bank that was just applied', () => {
  const id = 'e2e-fresh';
  beforeAll(async () => {
    await kubectl(['apply', '-f', '-'], bankManifest(id, { displayName: 'Fresh', vaults: [{ id: 'sales' }] }));
  });
  afterAll(() => tryKubectl(['delete', 'bank', id, '-n', 'banks', '--ignore-not-found']));

  it('becomes Ready, with the URL where it answers and every condition true', async () => {
    await conditionOf(id, 'Ready', 'True');
    const { status } = await getBank(id);
    expect(status).toMatchObject({ phase: 'Ready', url: `${platform.frontDoor}/mcp/bank-${id}` });
    expect(status?.conditions?.map((c) => `${c.type}=${c.status}`).sort()).toEqual(
      ['Accepted', 'CredentialsReady', 'DatabaseReady', 'Ready', 'RouteReady', 'ServerReady', 'Verified'].map(
        (t) => `${t}=True`,
      ),
    );
  });

  it.each(ERAS)('answers a %s client with its vaults and no recordings', async (era) => {
    await using client = await connect(`${platform.frontDoor}/mcp/bank-${id}`, await mintToken(id), era);
    expect((await callTool<{ vaults: { id: string }[] }>(client, 'list_vaults')).vaults.map((v) => v.id)).toEqual([
      'sales',
    ]);
    expect(await callToolPages(client, 'list_recordings', 'recordings')).toEqual([]);
  });
});

describe.each(platform.banks.map((bank) => [bank.id, bank] as const))('the sample bank %s', (id, bank) => {
  const manifest = sampleManifest(id);

  it.each(ERAS)('lists its tools to a %s client, each with schemas of input and output', async (era) => {
    await using client = await connect(bank.url, bank.token, era);
    const { tools } = await client.listTools();
    expect(tools.map((tool) => tool.name)).toEqual(
      expect.arrayContaining([
        'list_vaults',
        'list_recordings',
        'get_recording',
        'get_transcript',
        'search_recordings',
      ]),
    );
  });

  it.each(ERAS)('lists to a %s client every call of its old and new table, once (R1.2)', async (era) => {
    await using client = await connect(bank.url, bank.token, era);
    const listed = await callToolPages<{ id: string }>(client, 'list_recordings', 'recordings');
    expect(new Set(listed.map((recording) => recording.id)).size).toBe(listed.length);
    expect(listed.length).toBe(manifest.total);
  });

  it.each(ERAS)('finds for a %s client as many calls as the manifest counts', async (era) => {
    await using client = await connect(bank.url, bank.token, era);
    for (const [word, count] of manifest.words) {
      const found = await callToolPages<{ id: string }>(client, 'search_recordings', 'results', { query: word });
      expect([word, new Set(found.map((hit) => hit.id)).size]).toEqual([word, count]);
    }
  });

  it('gives a transcript by time range', async () => {
    await using client = await connect(bank.url, bank.token);
    const [first] = (await callTool<{ recordings: { id: string }[] }>(client, 'list_recordings', { limit: 1 }))
      .recordings;
    const { segments } = await callTool<{ segments: { startSeconds: number; endSeconds: number; text: string }[] }>(
      client,
      'get_transcript',
      { recordingId: first?.id, fromSeconds: 60, toSeconds: 180 },
    );
    expect(segments.length).toBeGreaterThan(0);
    expect(segments.filter((s) => s.endSeconds < 60 || s.startSeconds >= 180)).toEqual([]);
  });

  it('offers its vaults and recordings as resources', async () => {
    await using client = await connect(bank.url, bank.token);
    const { resources } = await client.listResources();
    const vault = resources.find((resource) => resource.uri.includes('/vaults/'));
    const recording = resources.find((resource) => resource.uri.includes('/recordings/'));
    for (const uri of [vault?.uri, recording?.uri]) {
      const { contents } = await client.readResource({ uri: uri ?? 'missing' });
      expect(contents).toHaveLength(1);
    }
  });
});
