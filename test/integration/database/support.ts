/** Calls for the database's tests, written as the loader writes them. */
import type pg from 'pg';
import { createBank, startPostgres, type TestBank, type TestPostgres, withClient } from '../../harness/postgres.ts';

export const VAULTS = ['hr', 'sales', 'support'].map((id) => ({ id, displayName: id.toUpperCase() }));

export interface LegacyCall {
  id: number;
  vault: string | null;
  startedAt?: string;
  title?: string;
  participants?: string[];
  words?: string;
  language?: string;
}

export interface NewCall {
  title: string;
  vaults: string[];
  legacyId?: number;
  startedAt?: string;
  participants?: string[];
  words?: string;
  language?: string;
}

const AT = '2026-03-01T10:00:00Z';

/** One transaction as the role that may write for all banks. */
export function asData<T>(postgres: TestPostgres, use: (sql: pg.Client) => Promise<T>): Promise<T> {
  return withClient(postgres.ownerUrl, async (sql) => {
    await sql.query('begin');
    await sql.query('set local role bankhouse_data');
    const result = await use(sql);
    await sql.query('commit');
    return result;
  });
}

export function addLegacy(sql: pg.Client, bank: string, call: LegacyCall): Promise<unknown> {
  const invitees = (call.participants ?? []).map((email) => ({ name: 'N', email }));
  const transcript = [{ speaker: { display_name: 'Ann' }, text: call.words ?? 'nothing', timestamp: '00:00:05' }];
  return sql.query(
    `insert into bank.fathom_calls (bank_id, id, vault_id, title, recording_start_time, recording_end_time,
       calendar_invitees, transcript, transcript_language)
     values ($1, $2, $3, $4, $5, $5::timestamptz + interval '30 minutes', $6, $7, $8)`,
    [
      bank,
      call.id,
      call.vault,
      call.title ?? `legacy ${call.id}`,
      call.startedAt ?? AT,
      JSON.stringify(invitees),
      JSON.stringify(transcript),
      call.language ?? null,
    ],
  );
}

/** @returns the new id */
export async function addRecording(sql: pg.Client, bank: string, call: NewCall): Promise<string> {
  const transcript = [
    { start: 0, end: 10, speaker: 'Ann', text: call.words ?? 'nothing' },
    { start: 10, end: 20, speaker: 'Bob', text: 'thank you' },
  ];
  const { rows } = await sql.query<{ id: string }>(
    `insert into bank.recordings (bank_id, legacy_id, title, started_at, duration_seconds, participants, transcript, language)
     values ($1, $2, $3, $4, 1800, $5, $6, $7) returning id`,
    [
      bank,
      call.legacyId ?? null,
      call.title,
      call.startedAt ?? AT,
      call.participants ?? [],
      JSON.stringify(transcript),
      call.language ?? null,
    ],
  );
  const id = rows[0]?.id ?? '';
  for (const vault of call.vaults) {
    await sql.query('insert into bank.vault_entries (bank_id, vault_id, recording_id) values ($1, $2, $3)', [
      bank,
      vault,
      id,
    ]);
  }
  return id;
}

export interface Fixture extends AsyncDisposable {
  postgres: TestPostgres;
  a: TestBank;
  b: TestBank;
}

/** A Postgres with two banks of three vaults each, and no calls. */
export async function startFixture(): Promise<Fixture> {
  const postgres = await startPostgres();
  try {
    const a = await createBank(postgres, 'acme', { vaults: VAULTS });
    const b = await createBank(postgres, 'globex', { vaults: VAULTS });
    return { postgres, a, b, [Symbol.asyncDispose]: () => postgres.stop() };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

/** Rows of one statement as a bank's role under an assertion (undefined: none). */
export async function rowsAs<T extends pg.QueryResultRow>(
  bank: TestBank,
  sealed: string | undefined,
  text: string,
  values: unknown[] = [],
): Promise<T[]> {
  return bank.asBank(sealed, async (sql) => (await sql.query<T>(text, values)).rows);
}

/** The same as the bank's own login role, which has functions and nothing else. */
export function rowsOf<T extends pg.QueryResultRow>(
  bank: TestBank,
  sealed: string | undefined,
  text: string,
  values: unknown[] = [],
): Promise<T[]> {
  return withClient(bank.url, async (sql) => {
    await sql.query('begin');
    if (sealed !== undefined) await sql.query("select set_config('bankhouse.assertion', $1, true)", [sealed]);
    const { rows } = await sql.query<T>(text, values);
    await sql.query('rollback');
    return rows;
  });
}
