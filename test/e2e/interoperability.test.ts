/** Clients of other makers do at the real front door what they do at a gateway on loopback (test/integration/clients). */
import { beforeAll, describe, expect, it } from 'vitest';
import { CLIENTS } from '../clients/clients.ts';
import { expectedOf } from '../clients/expected.ts';
import { goClient, npmClients, pythonClient } from '../clients/install.ts';
import { platform, sampleBank } from './platform.ts';
import { sampleManifest } from './samples.ts';

beforeAll(async () => {
  await Promise.all([npmClients(), pythonClient(), goClient()]);
}, 600_000);

describe.each([0, 1])('with sample bank %i', (index) => {
  const bank = sampleBank(index);
  const manifest = sampleManifest(bank.id);
  const [word, found] = [...manifest.words][0] ?? ['', 0];

  it.each(CLIENTS)('$client, $era', async (row) => {
    const seen = await row.run({ ...bank, word, caFile: platform.caFile });
    expect(seen).toEqual(expectedOf(row, { recordings: manifest.total, found }));
  });
});
