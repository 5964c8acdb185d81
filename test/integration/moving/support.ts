/** Two databases between which banks move, and what stands in each. */
import { randomUUID } from 'node:crypto';
import { systemClock } from '@bankhouse/kube';
import type pg from 'pg';
import { migrate } from '../../../control/src/migrations/index.ts';
import { type MoveOptions, type MoveProgress, moveBank } from '../../../operator/src/moving/index.ts';
import { startPostgres, type TestBank, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { asData } from '../database/support.ts';
import { addCalls, addEntities, type Entities } from '../export/support.ts';

export const MIGRATIONS = new URL('../../../migrations', import.meta.url).pathname;
const OWN = 'bank_of_its_own';

/** One database: for the operator, its superuser, and a bank's role. */
export interface Place {
  readonly operator: string;
  readonly superuser: string;
  /** URL of a role of the first database. */
  at(url: string): string;
}

export interface Places extends AsyncDisposable {
  postgres: TestPostgres;
  /** The database that `createBank` makes banks in. */
  shared: Place;
  /** Another one on the same server. */
  own: Place;
}

export async function startPlaces(): Promise<Places> {
  const postgres = await startPostgres();
  try {
    const elsewhere = (url: string) => {
      const changed = new URL(url);
      changed.pathname = `/${OWN}`;
      return changed.toString();
    };
    await withClient(postgres.superuserUrl, (sql) => sql.query(`create database ${OWN} owner bankhouse_owner`));
    await migrate({
      databaseUrl: elsewhere(postgres.ownerUrl),
      migrationsDir: MIGRATIONS,
      parts: ['tenants'],
      log: () => {},
    });
    const placeOf = (at: (url: string) => string): Place => ({
      operator: at(postgres.serviceUrl('operator')),
      superuser: at(postgres.superuserUrl),
      at,
    });
    return {
      postgres,
      shared: placeOf((url) => url),
      own: placeOf(elsewhere),
      [Symbol.asyncDispose]: () => postgres.stop(),
    };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

/** Rows in every table that has rows of banks. */
export async function fill(
  postgres: TestPostgres,
  bank: TestBank,
  amount: Entities & { calls: number },
): Promise<void> {
  await addCalls(postgres, bank.id, amount.calls);
  await addEntities(postgres, bank.id, amount);
  await asData(postgres, async (sql) => {
    await sql.query(
      `insert into bank.embeddings (bank_id, kind, item_id, passage, vault_ids, at, model, dimensions, digest, embedding)
       select $1, 'note', id, 0, '{hr}', now(), 'm', 3, sha256('x'), array[0.1, 1e-30, 0.333333343]::real[] from bank.notes where bank_id = $1`,
      [bank.id],
    );
    await sql.query(
      `insert into bank.idempotency_keys (bank_id, subject, key, entity, digest, outcome) values ($1, 's', 'k', 'batch', sha256('x'), '{"a": 1.0}')`,
      [bank.id],
    );
    await sql.query(`insert into bank.imports (bank_id, exported_bank, exported_at) values ($1, 'old', 'then')`, [
      bank.id,
    ]);
    await sql.query('insert into bank.change_floors (bank_id, pruned) values ($1, $2) on conflict do nothing', [
      bank.id,
      '5',
    ]);
    await sql.query(
      `insert into bank.sessions (bank_id, id, subject, uris, expires_at)
         values ($1, gen_random_uuid(), 'someone', '{bankhouse://x/notes}', now() + interval '1 hour')`,
      [bank.id],
    );
    await sql.query(
      `insert into bank.feeds (bank_id, subject, jti, asserted_at, all_vaults, vaults, expires_at)
       values ($1, 's', 'j', now(), true, '{}', now() + interval '1 hour')`,
      [bank.id],
    );
  });
}

/** Every row of a bank by table, as text, but for numbers that a database gives by itself. */
export async function rowsOfBank(place: Place, bank: string): Promise<Record<string, string[]>> {
  return await withClient(place.superuser, async (sql) => {
    await sql.query("set timezone = 'UTC'");
    const found: Record<string, string[]> = {};
    const tables = await sql.query<{ name: string }>(
      `select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'bank_id'
        where c.relnamespace = 'bank'::regnamespace and c.relkind = 'r' order by 1`,
    );
    for (const { name } of tables.rows) {
      const row = name === 'search_documents' ? "to_jsonb(t) - 'id'" : 'to_jsonb(t)';
      const { rows } = await sql.query<{ value: string }>(
        `select (${row})::text as value from bank."${name}" t where t.bank_id = $1`,
        [bank],
      );
      found[name] = rows.map(({ value }) => value).sort();
    }
    const { rows } = await sql.query<{ value: string }>('select b::text as value from bank.banks b where id = $1', [
      bank,
    ]);
    found.banks = rows.map(({ value }) => value);
    return found;
  });
}

export async function stateAt(place: Place, bank: string): Promise<string | undefined> {
  return await withClient(place.superuser, async (sql) => {
    const { rows } = await sql.query<{ state: string }>('select state from bank.moves where id = $1', [bank]);
    return rows[0]?.state;
  });
}

/** A move of which the test is control: it remembers whether it was switched. */
export function moving(
  bank: TestBank,
  source: Place,
  target: Place,
  changes: Partial<MoveOptions> = {},
): { options: MoveOptions; steps: MoveProgress[]; run(): ReturnType<typeof moveBank> } {
  const steps: MoveProgress[] = [];
  const options: MoveOptions = {
    source: source.operator,
    target: target.operator,
    bank: { id: bank.id, uid: bank.uid },
    move: randomUUID(),
    switched: false,
    switchOver: async () => true,
    clock: systemClock,
    signal: new AbortController().signal,
    ...changes,
    progress: (progress) => {
      steps.push(progress);
      changes.progress?.(progress);
    },
  };
  return { options, steps, run: () => moveBank(options) };
}

/** A transaction of the bank's own login role at a place, committed. */
export function call<T extends pg.QueryResultRow>(
  bank: TestBank,
  place: Place,
  sealed: string,
  text: string,
  values: unknown[] = [],
): Promise<T[]> {
  return withClient(place.at(bank.url), async (sql) => {
    await sql.query('begin read write');
    await sql.query("select set_config('bankhouse.assertion', $1, true)", [sealed]);
    const { rows } = await sql.query<T>(text, values);
    await sql.query('commit');
    return rows;
  });
}

export const writing = (bank: TestBank) => bank.seal({ scopes: ['mcp:read', 'mcp:write'] });

export async function addNote(bank: TestBank, place: Place, title: string): Promise<string> {
  const [row] = await call<{ answer: { receipt: { id: string } } }>(
    bank,
    place,
    writing(bank),
    "select api.create_row('note', $1) as answer",
    [JSON.stringify({ title, vaultId: 'sales' })],
  );
  return row?.answer.receipt.id ?? '';
}

export async function titles(bank: TestBank, place: Place, sealed = bank.seal()): Promise<string[]> {
  const rows = await call<{ row: { title: string } }>(bank, place, sealed, "select api.read_rows('note', $1) as row", [
    JSON.stringify({
      fields: ['title'],
      archived: 'include',
      sort: [{ field: 'createdAt', direction: 'asc' }],
      limit: 1_000,
    }),
  ]);
  return rows.map(({ row }) => row.title);
}
