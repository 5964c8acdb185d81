import { BankhouseError } from '@bankhouse/core';
import { type EmbeddingsClient, EmbeddingsError, toLiteral } from '@bankhouse/server/embeddings';
import type pg from 'pg';
import { openAsData, requireBank, tidy } from '../database.ts';
import { MISSING, PASSAGES, STORE } from './sql.ts';

export interface EmbedProgress {
  /** Recordings, notes, tasks, comments, chats and messages that had no embedding at the start. */
  total: number;
  /** Of these, how many were looked at so far. */
  done: number;
  /** Of these, how many changed meanwhile, or have no text. */
  skipped: number;
  /** Of these, how many the endpoint would not take. */
  rejected: number;
  /** What the endpoint is paid for: texts, and their characters; about four characters are a token of English. */
  inputs: number;
  characters: number;
}

export interface EmbedBankOptions {
  /** URL of a role that may become bankhouse_data: the owner of the database. */
  databaseUrl: string;
  bank: string;
  embeddings: EmbeddingsClient;
  /** Only what began or was made then or later; RFC 3339. */
  since?: string | undefined;
  /** Counts what would be sent, and sends nothing. */
  dryRun?: boolean;
  /** Requests at once. */
  concurrency?: number;
  /** Called after each group of items. */
  onProgress?: (progress: EmbedProgress) => void;
  /** Called for every item that the endpoint would not take; what stands in it is in no message. */
  onProblem?: (item: string, problem: string) => void;
}

interface Item {
  kind: string;
  id: string;
}
interface Passage extends Item {
  passage: number;
  digest: string;
  body: string;
}

const GROUP = 8;
/** Nobody waits for a single answer here, and limits of endpoints are by the minute. */
const PATIENCE = { deadlineMs: 300_000, attempts: 12 };

/**
 * Embeds everything of a bank that has no embedding of this model yet. What is done is kept, so running it again goes on; what
 * changes while it runs is left to the next run.
 *
 * @throws BankhouseError `bank_unknown`, `database_unreachable`, `embeddings_failed`
 */
export async function embedBank(options: EmbedBankOptions): Promise<EmbedProgress> {
  const sql = await openAsData(options.databaseUrl, 'embedding');
  try {
    await requireBank(sql, options.bank);
    const dimensions = options.dryRun === true ? options.embeddings.dimensions : await probe(options.embeddings);
    const { rows } = await sql.query<Item>(MISSING, [
      options.bank,
      options.since ?? null,
      options.embeddings.model,
      dimensions ?? null,
    ]);
    const run = new Run(sql, options, rows);
    await run.all();
    if (run.progress.inputs > 0 && options.dryRun !== true) await tidy(sql, ['embeddings']);
    return run.progress;
  } finally {
    await sql.end();
  }
}

/** Finds out early whether the endpoint works, and how long its vectors are. */
async function probe(embeddings: EmbeddingsClient): Promise<number | undefined> {
  const [vector] = await embeddings.embed(['bankhouse'], { deadlineMs: 30_000 });
  return vector?.length;
}

class Run {
  readonly progress: EmbedProgress;
  private readonly sql: pg.Client;
  private readonly options: EmbedBankOptions;
  private readonly items: readonly Item[];
  /** The last statement: one connection runs one at a time. */
  private before: Promise<unknown> = Promise.resolve();
  private next = 0;
  private failed = false;

  constructor(sql: pg.Client, options: EmbedBankOptions, items: readonly Item[]) {
    this.sql = sql;
    this.options = options;
    this.items = items;
    this.progress = { total: items.length, done: 0, skipped: 0, rejected: 0, inputs: 0, characters: 0 };
  }

  async all(): Promise<void> {
    const workers = Array.from({ length: this.options.concurrency ?? 1 }, () => this.work());
    const outcomes = await Promise.allSettled(workers);
    const failure = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failure !== undefined) throw this.explained(failure.reason);
  }

  private async work(): Promise<void> {
    while (!this.failed && this.next < this.items.length) {
      const group = this.items.slice(this.next, this.next + GROUP);
      this.next += group.length;
      try {
        await this.embed(group);
      } catch (error) {
        this.failed = true;
        throw error;
      }
      this.options.onProgress?.({ ...this.progress });
    }
  }

  private async embed(group: readonly Item[]): Promise<void> {
    const { rows } = await this.query<Passage>(PASSAGES, [
      this.options.bank,
      group.map(({ kind }) => kind),
      group.map(({ id }) => id),
    ]);
    if (this.options.dryRun === true) this.count(rows);
    else if (rows.length > 0) await this.send(rows);
    const kinds = new Set(rows.map(({ kind, id }) => `${kind}/${id}`));
    this.progress.skipped += group.length - kinds.size;
    this.progress.done += group.length;
  }

  /** All at once; one item at a time where the endpoint rejects something of it. */
  private async send(passages: readonly Passage[]): Promise<void> {
    let vectors: Float32Array[];
    try {
      vectors = await this.options.embeddings.embed(
        passages.map(({ body }) => body),
        PATIENCE,
      );
    } catch (error) {
      if (!(error instanceof EmbeddingsError) || error.reason !== 'rejected') throw error;
      const items = [...Map.groupBy(passages, ({ kind, id }) => `${kind} ${id}`)];
      const [only, ...others] = items;
      if (only !== undefined && others.length === 0) {
        this.progress.rejected++;
        const said = error.cause instanceof Error ? ` It says: ${error.cause.message}` : '';
        this.options.onProblem?.(only[0], `${error.message}${said}`);
        return;
      }
      for (const [, own] of items) await this.send(own);
      return;
    }
    this.count(passages);
    const { rows } = await this.query<{ kept: number }>(STORE, [
      this.options.bank,
      this.options.embeddings.model,
      passages.map(({ kind }) => kind),
      passages.map(({ id }) => id),
      passages.map(({ passage }) => passage),
      passages.map(({ digest }) => digest),
      vectors.map(toLiteral),
    ]);
    this.progress.skipped += new Set(passages.map(({ kind, id }) => `${kind}/${id}`)).size - (rows[0]?.kept ?? 0);
  }

  private query<R extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<pg.QueryResult<R>> {
    const result = this.before.then(() => this.sql.query<R>(text, values));
    this.before = result.catch(() => {});
    return result;
  }

  private count(passages: readonly Passage[]): void {
    this.progress.inputs += passages.length;
    this.progress.characters += passages.reduce((sum, { body }) => sum + body.length, 0);
  }

  private explained(error: unknown): unknown {
    if (!(error instanceof EmbeddingsError)) return error;
    const { done, total } = this.progress;
    return new BankhouseError(
      'embeddings_failed',
      `${error.message} ${done} of ${total} items are done and kept; run it again to go on.`,
      { cause: error },
    );
  }
}
