/** R3.12: tags and suggestions, by the same embeddings. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../../harness/postgres.ts';
import { call, callError, type RunningBank } from '../server/support.ts';
import { type Endpoint, startEndpoint } from './endpoint.ts';
import { addRecording, create, mayAll, runSemanticBank, type TestClient } from './support.ts';

interface TagAnswer {
  suggestions: { tag: string; score: number; entries: number; because: string }[];
  applied: boolean;
  tags: string[];
  version: number;
}
interface Related {
  recordings: { id: string }[];
  notes: { id: string }[];
  openTasks: { id: string }[];
  possibleDuplicates: { id: string; score: number }[];
}

let postgres: TestPostgres;
let endpoint: Endpoint;
beforeAll(async () => {
  postgres = await startPostgres();
  endpoint = await startEndpoint();
});
afterAll(async () => {
  await endpoint?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

const tagIt = (client: TestClient, args: Record<string, unknown>) => call<TagAnswer>(client, 'tag', args);

describe('tag', () => {
  let bank: RunningBank;
  let client: TestClient;
  let note: string;
  beforeAll(async () => {
    bank = await runSemanticBank(postgres, 'tags', endpoint);
    client = await bank.connect('modern', mayAll());
    await create(client, 'note', { title: 'shipping delay', body: 'parcel late', tags: ['Logistics', 'late'] });
    await create(client, 'task', { title: 'ask about shipping delay', tags: ['logistics'] });
    await create(client, 'note', { title: 'salary talk', tags: ['hr'], vaultId: 'support' });
  });
  beforeEach(async () => {
    note = await create(client, 'note', { title: 'shipping delay again', body: 'parcel', tags: ['Late'] });
  });
  afterAll(async () => {
    await client?.close();
    await bank?.[Symbol.asyncDispose]();
  });

  it('suggests the tags of the nearest entries, without those that it has, and changes nothing', async () => {
    const answer = await tagIt(client, { kind: 'note', id: note, minScore: 0.4 });
    expect(answer.suggestions.map(({ tag }) => tag)).toEqual(['Logistics']);
    expect(answer.suggestions[0]).toMatchObject({ entries: 2, because: 'the note "shipping delay" has it' });
    expect(answer).toMatchObject({ applied: false, tags: ['Late'], version: 1 });
    expect(answer.text).toMatch(/Nothing was changed/);
  });

  it('considers candidates by their own words', async () => {
    const answer = await tagIt(client, { kind: 'note', id: note, candidates: ['parcel', 'weather'], minScore: 0.4 });
    expect(answer.suggestions.map(({ tag }) => tag).sort()).toEqual(['Logistics', 'parcel']);
    expect(answer.suggestions.find(({ tag }) => tag === 'parcel')).toMatchObject({
      entries: 0,
      because: 'its words are close',
    });
  });

  it('adds them when it is told to, with the version that was read', async () => {
    const answer = await tagIt(client, { kind: 'note', id: note, minScore: 0.4, apply: true, version: 1 });
    expect(answer).toMatchObject({ applied: true, tags: ['Late', 'Logistics'], version: 2 });
    expect(await call(client, 'get_note', { id: note })).toMatchObject({ tags: ['Late', 'Logistics'], version: 2 });
  });

  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['without a version', { apply: true }, { code: 'invalid_argument', field: 'version' }],
    [
      'with a version that is over',
      { apply: true, version: 7, minScore: 0.4 },
      { code: 'stale_version', field: 'version' },
    ],
    [
      'of an entry that is not there',
      { id: '00000000-0000-4000-8000-000000000000' },
      { code: 'not_found', field: 'id' },
    ],
    ['of a kind without tags', { kind: 'comment' }, { code: 'invalid_argument', field: 'kind' }],
    [
      'with too many candidates',
      { candidates: Array.from({ length: 51 }, (_, n) => `c${n}`) },
      { code: 'invalid_argument' },
    ],
  ])('%s refuses', async (_sentence, args, expected) => {
    expect(await callError(client, 'tag', { kind: 'note', id: note, ...args })).toMatchObject(expected);
  });

  it('learns from no vault that the caller may not see, nor touches an entry there', async () => {
    await using limited = await bank.connect('modern', mayAll(['sales']));
    const mine = await create(limited, 'note', { title: 'salary talk', vaultId: 'sales' });
    expect((await tagIt(limited, { kind: 'note', id: mine, minScore: -1 })).suggestions).toEqual([]);
    expect((await tagIt(client, { kind: 'note', id: mine, minScore: 0.9 })).suggestions).toMatchObject([{ tag: 'hr' }]);
    expect(await callError(limited, 'tag', { kind: 'note', id: note })).toMatchObject({ code: 'not_found' });
  });
});

describe('suggest', () => {
  it('gives what is related to an entry or a text, tasks still open, and what says the same', async () => {
    await using bank = await runSemanticBank(postgres, 'related', endpoint);
    await using client = await bank.connect('modern', mayAll());
    const said = await addRecording(postgres, 'related', {
      title: 'budget of the zoo',
      vaults: ['sales'],
      said: ['money'],
    });
    const note = await create(client, 'note', { title: 'zoo budget draft' });
    const twin = await create(client, 'note', { title: 'draft zoo budget' });
    const open = await create(client, 'task', { title: 'send the zoo budget' });
    const done = await create(client, 'task', { title: 'print the zoo budget' });
    await call(client, 'process_task', { id: done, action: 'complete' });

    const byItem = await call<Related>(client, 'suggest', { kind: 'note', id: note });
    expect(byItem.recordings).toMatchObject([{ id: said }]);
    expect(byItem.notes).toMatchObject([{ id: twin, score: 1 }]);
    expect(byItem.openTasks).toMatchObject([{ id: open }]);
    expect(byItem.possibleDuplicates).toMatchObject([{ id: twin, score: 1 }]);
    expect(byItem.text).toMatch(/Possible duplicates:/);

    const byText = await call<Related>(client, 'suggest', { text: 'zoo budget draft' });
    expect(byText.possibleDuplicates.map(({ id }) => id).sort()).toEqual([note, twin].sort());

    const byRecording = await call<Related>(client, 'suggest', { kind: 'recording', id: said, minScore: 0.2 });
    expect(byRecording.recordings).toEqual([]);
    expect(byRecording.openTasks).toMatchObject([{ id: open }]);

    await using limited = await bank.connect('modern', mayAll(['support']));
    const nothing = await call<Related>(limited, 'suggest', { text: 'zoo budget draft' });
    expect(nothing.text).toBe('Nothing related found.');
    expect(await callError(limited, 'suggest', { kind: 'note', id: note })).toMatchObject({ code: 'not_found' });
  });

  it.each<[string, Record<string, unknown>]>([
    ['nothing', {}],
    ['a kind alone', { kind: 'note' }],
    ['both', { kind: 'note', id: '00000000-0000-4000-8000-000000000000', text: 'x' }],
    ['an id of another form', { kind: 'note', id: 'fathom-1' }],
  ])('refuses %s', async (_sentence, args) => {
    await using bank = await runSemanticBank(postgres, 'refuses', endpoint);
    await using client = await bank.connect('modern', mayAll());
    expect(await callError(client, 'suggest', args)).toMatchObject({ code: 'invalid_argument' });
  });
});
