/** Two banks whose every row is known: table, key, bank, vaults. What a caller must see follows from it by model.ts. */
import { randomBytes, randomUUID } from 'node:crypto';
import type pg from 'pg';
import { createBank, startPostgres, type TestBank, type TestPostgres, withClient } from '../../harness/postgres.ts';

export type Vault = string | null;
export const VAULTS = ['hr', 'sales', 'support'];
export const BANKS = ['acme', 'globex'];
export const ENTITIES = ['notes', 'tasks', 'chats', 'chat_messages', 'comments'] as const;
/** Who calls, in every assertion (test/harness/postgres.ts), and somebody else. */
export const SUBJECTS = ['https://issuer.test test', 'somebody else'];
export type Entity = (typeof ENTITIES)[number];

/** A row of a table under policy. `vaults`: those that make it visible; none: only callers who may see all vaults. */
export interface Row {
  readonly table: string;
  readonly bank: string;
  readonly key: string;
  readonly vaults: readonly string[];
  /** A word that stands in this row and in no other. */
  readonly canary: string;
}

/** A word that stands in every row. */
export const COMMON_WORD = 'escrow';

export interface World extends AsyncDisposable {
  readonly postgres: TestPostgres;
  readonly banks: Readonly<Record<string, TestBank>>;
  readonly rows: readonly Row[];
  /** URL of a login role that nobody granted anything. */
  readonly strangerUrl: string;
  /** Rows of one table and bank. */
  of(table: string, bank: string): Row[];
  /** The id of the one row of an entity that is in this vault (null: in none). */
  idOf(entity: Entity, bank: string, vault: Vault): string;
}

/** Every way in which a call can lie in vaults; a migrated call is where its new row is. */
const CALLS: { legacy?: { id: number; vault: Vault }; vaults?: string[] }[] = [
  { legacy: { id: 1, vault: 'sales' } },
  { legacy: { id: 2, vault: 'hr' } },
  { legacy: { id: 3, vault: null } },
  { legacy: { id: 4, vault: 'sales' }, vaults: ['hr'] },
  { legacy: { id: 5, vault: null }, vaults: ['sales'] },
  { vaults: ['sales'] },
  { vaults: ['hr', 'sales'] },
  { vaults: ['support'] },
];

let canaries = 0;
/** A word of letters only, so that it is one in a full-text search as well. */
const newCanary = () => `canary${[...String(++canaries)].map((digit) => 'abcdefghij'[Number(digit)]).join('')}x`;

export async function startWorld(): Promise<World> {
  const postgres = await startPostgres();
  try {
    const rows: Row[] = [];
    const banks: Record<string, TestBank> = {};
    for (const id of BANKS) {
      const vaults = VAULTS.map((vault) => ({ id: vault, displayName: newCanary() }));
      banks[id] = await createBank(postgres, id, { vaults });
      for (const vault of vaults) {
        const key = `${id}/${vault.id}`;
        rows.push({ table: 'bank.vaults', bank: id, key, vaults: [vault.id], canary: vault.displayName });
      }
      await withClient(postgres.ownerUrl, async (sql) => {
        await sql.query('begin; set local role bankhouse_data');
        rows.push(...(await seedCalls(sql, id)), ...(await seedEntities(sql, id)), ...(await seedKeys(sql, id)));
        await sql.query('commit');
      });
    }
    const strangerUrl = await createStranger(postgres);
    const of = (table: string, bank: string) => rows.filter((row) => row.table === table && row.bank === bank);
    return {
      postgres,
      banks,
      rows,
      strangerUrl,
      of,
      idOf(entity, bank, vault) {
        const found = of(`bank.${entity}`, bank).find(({ vaults }) => (vaults[0] ?? null) === vault);
        return found?.key.split('/')[1] ?? '';
      },
      [Symbol.asyncDispose]: () => postgres.stop(),
    };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

async function seedCalls(sql: pg.Client, bank: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { legacy, vaults } of CALLS) {
    if (legacy !== undefined) {
      const canary = newCanary();
      await sql.query(
        `insert into bank.fathom_calls (bank_id, id, vault_id, title, recording_start_time, recording_end_time)
           values ($1, $2, $3, $4, '2026-03-01T10:00Z', '2026-03-01T10:30Z')`,
        [bank, legacy.id, legacy.vault, `${COMMON_WORD} ${canary}`],
      );
      const seenIn = vaults === undefined && legacy.vault !== null ? [legacy.vault] : [];
      rows.push({ table: 'bank.fathom_calls', bank, key: `${bank}/${legacy.id}`, vaults: seenIn, canary });
      if (vaults === undefined) {
        const key = `${bank}/fathom-${legacy.id}`;
        for (const table of ['bank.legacy_calls', 'bank.unified_recordings']) {
          rows.push({ table, bank, key, vaults: seenIn, canary });
        }
      }
    }
    if (vaults !== undefined) rows.push(...(await seedRecording(sql, bank, vaults, legacy?.id)));
  }
  return rows;
}

async function seedRecording(sql: pg.Client, bank: string, vaults: string[], legacyId?: number): Promise<Row[]> {
  const id = randomUUID();
  const canary = newCanary();
  await sql.query(
    `insert into bank.recordings (bank_id, id, legacy_id, title, started_at, duration_seconds)
       values ($1, $2, $3, $4, '2026-03-02T10:00Z', 60)`,
    [bank, id, legacyId, `${COMMON_WORD} ${canary}`],
  );
  const tables = ['bank.recordings', 'bank.new_calls', 'bank.unified_recordings'];
  const rows: Row[] = tables.map((table) => ({ table, bank, key: `${bank}/${id}`, vaults, canary }));
  for (const vault of vaults) {
    const values = [bank, vault, id];
    await sql.query('insert into bank.vault_entries (bank_id, vault_id, recording_id) values ($1, $2, $3)', values);
    const key = `${bank}/${id}/${vault}`;
    rows.push({ table: 'bank.vault_entries', bank, key, vaults: [vault], canary: `${id}/${vault}` });
  }
  return rows;
}

/** One row of each entity in each vault and one in none; a message in each chat, a comment under each note. */
async function seedEntities(sql: pg.Client, bank: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (const vault of [...VAULTS, null]) {
    const ids = Object.fromEntries(ENTITIES.map((entity) => [entity, randomUUID()])) as Record<Entity, string>;
    for (const entity of ENTITIES) {
      const canary = newCanary();
      const text = `${COMMON_WORD} ${canary}`;
      const own: Record<Entity, Record<string, string>> = {
        notes: { title: text },
        tasks: { title: text },
        chats: { title: text },
        chat_messages: { body: text, chat_id: ids.chats },
        comments: { body: text, parent_type: 'note', parent_id: ids.notes },
      };
      await insertRow(sql, entity, {
        bank_id: bank,
        id: ids[entity],
        vault_id: vault,
        created_by: 'seed',
        updated_by: 'seed',
        ...own[entity],
      });
      const vaults = vault === null ? [] : [vault];
      rows.push({ table: `bank.${entity}`, bank, key: `${bank}/${ids[entity]}`, vaults, canary });
      const kind = entity.slice(0, -1);
      await sql.query(
        `insert into bank.embeddings (bank_id, kind, item_id, passage, vault_ids, at, model, dimensions, digest, embedding)
           values ($1, $2, $3, 0, $4, now(), 'm', 1, bank.text_digest($5), '{1}')`,
        [bank, kind, ids[entity], vaults, text],
      );
      rows.push({
        table: 'bank.embeddings',
        bank,
        key: `${bank}/${kind}/${ids[entity]}/0`,
        vaults,
        canary: ids[entity],
      });
    }
  }
  return rows;
}

/** Keys of creations: of the subject that all assertions name, and of another. */
async function seedKeys(sql: pg.Client, bank: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (const subject of SUBJECTS) {
    const canary = newCanary();
    await sql.query(
      `insert into bank.idempotency_keys (bank_id, subject, key, entity, digest) values ($1, $2, $3, 'notes', sha256('x'))`,
      [bank, subject, canary],
    );
    rows.push({ table: 'bank.idempotency_keys', bank, key: `${bank}/${subject}/${canary}`, vaults: [], canary });
  }
  return rows;
}

function insertRow(sql: pg.Client, entity: Entity, columns: Record<string, Vault>): Promise<unknown> {
  const places = Object.keys(columns).map((_, n) => `$${n + 1}`);
  return sql.query(`insert into bank.${entity} (${Object.keys(columns)}) values (${places})`, Object.values(columns));
}

async function createStranger(postgres: TestPostgres): Promise<string> {
  const password = randomBytes(12).toString('hex');
  await withClient(postgres.superuserUrl, (sql) => sql.query(`create role stranger login password '${password}'`));
  return postgres.urlFor('stranger', password);
}
