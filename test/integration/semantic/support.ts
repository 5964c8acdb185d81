import type { Assertion } from '@bankhouse/core';
import type pg from 'pg';
import type { TestPostgres } from '../../harness/postgres.ts';
import { asLoader, call, type RunningBank, runBank } from '../server/support.ts';
import type { Endpoint } from './endpoint.ts';

/** Everything a tool may do, for all vaults unless some are named. */
export function mayAll(vaults: string[] | null = null): Partial<Assertion> {
  return { scopes: ['mcp:read', 'mcp:write'], vaults };
}

export function runSemanticBank(
  postgres: TestPostgres,
  id: string,
  endpoint: Endpoint,
  env: Record<string, string> = {},
): Promise<RunningBank> {
  return runBank(postgres, id, { env: { EMBEDDINGS_URL: endpoint.url, EMBEDDINGS_MODEL: 'words-1', ...env } });
}

export interface SearchAnswer {
  results: {
    kind: string;
    id: string;
    title: string | null;
    passage: string;
    score: number;
    startSeconds: number | null;
    vaultIds: string[];
    parent: { kind: string; id: string } | null;
  }[];
  model: string;
  complete: boolean;
  text: string;
}

export type TestClient = Awaited<ReturnType<RunningBank['connect']>>;

export function search(client: TestClient, query: string, more: Record<string, unknown> = {}) {
  return call<SearchAnswer>(client, 'semantic_search', { query, ...more });
}

export async function create(client: TestClient, entity: string, fields: Record<string, unknown>): Promise<string> {
  const made = await call<{ id: string }>(client, `create_${entity}`, fields);
  return made.id;
}

export interface SpokenCall {
  title: string;
  vaults: string[];
  said: string[];
  startedAt?: string;
  summary?: string;
}

/** A recording whose segments last ten seconds each. */
export async function addRecording(postgres: TestPostgres, bank: string, spoken: SpokenCall): Promise<string> {
  const transcript = spoken.said.map((text, index) => ({
    start: index * 10,
    end: index * 10 + 10,
    speaker: 'Ann',
    text,
  }));
  return asLoader(postgres, async (sql: pg.Client) => {
    await sql.query('begin');
    const { rows } = await sql.query<{ id: string }>(
      `insert into bank.recordings (bank_id, title, started_at, duration_seconds, transcript, summary)
       values ($1, $2, $3, 600, $4, $5) returning id`,
      [
        bank,
        spoken.title,
        spoken.startedAt ?? '2026-03-01T10:00:00Z',
        JSON.stringify(transcript),
        spoken.summary ?? null,
      ],
    );
    const id = rows[0]?.id ?? '';
    for (const vault of spoken.vaults) {
      await sql.query('insert into bank.vault_entries (bank_id, vault_id, recording_id) values ($1, $2, $3)', [
        bank,
        vault,
        id,
      ]);
    }
    await sql.query('commit');
    return id;
  });
}

/** Embeddings that are there, whoever may see them. */
export async function stored(postgres: TestPostgres, bank: string) {
  return asLoader(postgres, async (sql) => {
    const { rows } = await sql.query<{
      kind: string;
      item_id: string;
      passage: number;
      vault_ids: string[];
      model: string;
    }>(
      'select kind, item_id, passage, vault_ids, model from bank.embeddings where bank_id = $1 order by kind, item_id, passage',
      [bank],
    );
    return rows;
  });
}
