/** R3.12: the same answers with pgvector and in plain SQL, under the same policies (R1.6). */
import { randomBytes } from 'node:crypto';
import { type Assertion, scramVerifier, sealAssertion } from '@bankhouse/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  assertionFor,
  createBank,
  startPostgres,
  type TestBank,
  type TestPostgres,
  withClient,
} from '../../harness/postgres.ts';
import { type Session, startVectorPostgres, type VectorPostgres } from './pgvector.ts';

const BANK = 'same';
const DIMENSIONS = 96;
const VAULTS = ['sales', 'support'].map((id) => ({ id, displayName: id }));
const KEY = randomBytes(32);

interface Row {
  item_id: string;
  score: number;
}

let plain: TestPostgres;
let plainBank: TestBank;
let vectors: VectorPostgres;
beforeAll(async () => {
  // One after the other: WebAssembly occupies this process while it starts.
  plain = await startPostgres();
  vectors = await startVectorPostgres({ installed: false });
  plainBank = await createBank(plain, BANK, { vaults: VAULTS });
  await vectors.query('select admin.ensure_bank($1, $2, $1, $3, $4, $5, $6, $7, $8)', [
    BANK,
    plainBank.uid,
    'business',
    JSON.stringify(VAULTS),
    plainBank.role,
    await scramVerifier('a-password-of-no-use'),
    'digest',
    JSON.stringify({ 1: KEY.toString('base64') }),
  ]);
  const random = mulberry(7);
  const meanings = Array.from({ length: 120 }, () => unit(random));
  const filled = meanings.map((vector, index) => ({
    id: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
    vault: [null, 'sales', 'support'][index % 3] ?? null,
    title: `note ${index}`,
    // Every tenth means what the one before means, so that ties are there too.
    vector: (index % 10 === 9 ? meanings[index - 1] : undefined) ?? vector,
  }));
  await withClient(plain.superuserUrl, (sql) =>
    fill({ query: async (text, values) => (await sql.query(text, [...(values ?? [])])).rows }, filled),
  );
  await fill(vectors, filled);
});
afterAll(async () => {
  await vectors?.[Symbol.asyncDispose]();
  await plain?.stop();
});

describe('a search', () => {
  const random = mulberry(11);
  const queries = Array.from({ length: 8 }, () => unit(random));
  const scopes: [string, Partial<Assertion>][] = [
    ['all vaults', {}],
    ['one vault', { vaults: ['sales'] }],
    ['another vault', { vaults: ['support'] }],
    ['no vault', { vaults: [] }],
  ];

  it('is done by pgvector from the migration job on that follows its installation', async () => {
    const owner = (text: string) =>
      vectors.as('bankhouse_owner', undefined, (session) => session.query<{ by: string }>(text));
    expect(await owner('select bank.choose_similarity() as by')).toEqual([{ by: 'plain SQL' }]);
    const before = await vectorAnswers(scopes[0]?.[1] ?? {}, queries[0] ?? []);
    await vectors.query('create extension vector');
    expect(await owner('select bank.choose_similarity() as by')).toEqual([{ by: 'pgvector' }]);
    expect(await vectorAnswers(scopes[0]?.[1] ?? {}, queries[0] ?? [])).toEqual(before);
  });

  it('is done by pgvector at once where the extension was there before the first migration', async () => {
    await using ready = await startVectorPostgres({ installed: true });
    const [row] = await ready.query<{ score: number }>(
      "select bank.similarity('{0.6,0.8}', '{0.8,0.6}') as score from pg_proc where proname = 'similarity' and prosqlbody is not null",
    );
    expect(row?.score).toBeCloseTo(0.96, 5);
  });

  it.each(scopes)('in %s answers the same either way', async (_name, changes) => {
    for (const query of queries) {
      const expected = await plainAnswers(changes, query);
      expect(await vectorAnswers(changes, query)).toEqual(expected);
      const visible = changes.vaults === undefined ? 120 : changes.vaults?.length === 0 ? 0 : 40;
      expect(expected).toHaveLength(Math.min(visible, 50));
    }
  });
});

const NEAREST = `select id as item_id, score from api.nearest($1::real[], 'm', array['note'], null, null, null, null, null, null, null, 50)`;

async function plainAnswers(changes: Partial<Assertion>, query: readonly number[]) {
  return plainBank.asBank(plainBank.seal(changes), async (sql) => {
    const { rows } = await sql.query<Row>(NEAREST, [`{${query.join(',')}}`]);
    return rows.map(rounded);
  });
}

async function vectorAnswers(changes: Partial<Assertion>, query: readonly number[]) {
  const sealed = sealAssertion(assertionFor(BANK, changes), KEY, 1);
  return vectors.as(plainBank.role, sealed, async (session) => {
    return (await session.query<Row>(NEAREST, [`{${query.join(',')}}`])).map(rounded);
  });
}

/** Both compute in float4, in another order. */
function rounded({ item_id, score }: Row) {
  return { item_id, score: score.toFixed(4) };
}

async function fill(
  session: Session,
  notes: readonly { id: string; vault: string | null; title: string; vector: number[] }[],
) {
  for (const { id, vault, title } of notes) {
    await session.query(
      `insert into bank.notes (bank_id, id, vault_id, title, created_by, updated_by) values ($1, $2, $3, $4, 'test', 'test')`,
      [BANK, id, vault, title],
    );
  }
  const [row] = await session.query<{ kept: number }>(
    `select bank.store_embeddings($1, null, 'm', array_agg('note'::text), array_agg(t.id), array_agg(0),
       array_agg(encode(bank.text_digest(t.title), 'hex')), array_agg(t.vector)) as kept
     from unnest($2::text[], $3::text[], $4::text[]) t (id, title, vector)`,
    [
      BANK,
      notes.map(({ id }) => id),
      notes.map(({ title }) => title),
      notes.map(({ vector }) => `{${vector.join(',')}}`),
    ],
  );
  expect(row?.kept).toBe(notes.length);
}

function unit(random: () => number): number[] {
  const values = Array.from({ length: DIMENSIONS }, () => random() - 0.5);
  const length = Math.hypot(...values);
  return values.map((value) => Math.fround(value / length));
}

function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
