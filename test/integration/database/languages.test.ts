/** R3.10: a search reads its words in the language of each call. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { addLegacy, addRecording, asData, type Fixture, rowsAs, startFixture } from './support.ts';

let fixture: Fixture;
const CALLS = [
  { title: 'en1', language: 'en', words: 'we signed two contracts and the running costs are low' },
  { title: 'en2', language: 'en-GB', words: 'the contract was cancelled, and the next steps are clear' },
  { title: 'none', words: 'a contract without a language' },
  { title: 'de1', language: 'de', words: 'die Verträge sind unterschrieben, laufende Kosten gibt es keine' },
  { title: 'de2', language: 'de-AT', words: 'der Vertrag wurde gekündigt, die nächsten Schritte stehen fest' },
  { title: 'ja1', language: 'ja', words: 'Contracts keiyaku' },
];

beforeAll(async () => {
  fixture = await startFixture();
  await asData(fixture.postgres, async (sql) => {
    for (const call of CALLS) await addRecording(sql, 'acme', { vaults: ['sales'], ...call });
    await addLegacy(sql, 'acme', { id: 1, vault: 'sales', title: 'old', language: 'de', words: 'alter Vertrag' });
  });
});
afterAll(() => fixture?.[Symbol.asyncDispose]());

it.each<[string, string, string | null, string[]]>([
  ['an English word, all its forms', 'contracting', null, ['en1', 'en2', 'none']],
  ['a German word, all its forms', 'Verträgen', null, ['de1', 'de2', 'old']],
  ['a word of an unknown language, as it stands', 'contracts', null, ['en1', 'en2', 'ja1', 'none']],
  ['one language alone', 'contracts', 'en', ['en1', 'en2', 'none']],
  ['an unknown language alone', 'contracts', 'ja', ['ja1']],
  ['another unknown language, which nobody spoke', 'contracts', 'zh', []],
  ['a language with its region', 'Vertrag', 'de-CH', ['de1', 'de2', 'old']],
  ['a word that one language leaves out', 'die', 'de', []],
  ['a phrase', '"next steps"', null, ['en2']],
  ['a phrase in German', '"nächste Schritte"', null, ['de2']],
  ['a phrase whose words stand apart', '"steps next"', null, []],
  ['what must not occur, in each language', 'Vertrag -gekündigte', null, ['de1', 'old']],
  ['a phrase that must not occur', 'contract -"next steps"', null, ['en1', 'none']],
  ['one word or another', '"running costs" or unterschrieben', null, ['de1', 'en1']],
])('%s', async (_sentence, query, language, expected) => {
  const rows = await rowsAs<{ title: string }>(
    fixture.a,
    fixture.a.seal(),
    'select title from api.search_recordings($1, p_language => $2)',
    [query, language],
  );
  expect(rows.map(({ title }) => title).sort()).toEqual(expected);
});

it('marks hits as the language forms them', async () => {
  const [row] = await rowsAs<{ snippet: string }>(
    fixture.a,
    fixture.a.seal(),
    "select snippet from api.search_recordings('Vertrag -gekündigt -alter')",
  );
  expect(row?.snippet).toContain('**Verträge**');
});

it('follows a call whose language is corrected', async () => {
  const id = await asData(fixture.postgres, (sql) =>
    addRecording(sql, 'globex', { title: 'late', vaults: ['sales'], language: 'en', words: 'Häuser' }),
  );
  const found = () =>
    rowsAs(fixture.b, fixture.b.seal(), "select title from api.search_recordings('Haus')").then((rows) => rows.length);
  expect(await found()).toBe(0);
  await asData(fixture.postgres, (sql) => sql.query("update bank.recordings set language = 'de' where id = $1", [id]));
  expect(await found()).toBe(1);
});
