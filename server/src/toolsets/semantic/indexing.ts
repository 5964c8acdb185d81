import { messageOf } from '@bankhouse/core';
import { type EmbeddingsClient, EmbeddingsError, toLiteral } from '../../embeddings/index.ts';
import { ToolError } from '../../mcp/tool-error.ts';
import type { PrepareContext } from '../../mcp/toolset.ts';
import { upstreamFailed } from './errors.ts';
import { ITEM, KEEP, UNEMBEDDED } from './sql.ts';

export const KINDS = ['recording', 'note', 'task', 'comment', 'chat', 'chat_message'] as const;
export type Kind = (typeof KINDS)[number];

/** Passages that one call embeds at most, beside its own text; an item has at most as many. */
const MAX_PASSAGES = 64;
/** How long a call waits at most for texts beside its own, in milliseconds. */
const MISSING_WITHIN_MS = 10_000;
/** Items that are remembered for having been rejected, so that no call sends them again, or for having just been kept. */
const MAX_REMEMBERED = 1000;

export interface Filter {
  readonly kinds: readonly Kind[];
  readonly vault: string | null;
  readonly from: string | null;
  readonly to: string | null;
}

interface Passage {
  kind: Kind;
  id: string;
  passage: number;
  digest: string;
  body: string;
}
type Item = readonly Passage[];

/** Texts into vectors, and items into rows of bank.embeddings, under the assertion of the call that needs them. */
export interface Indexer {
  readonly model: string;
  /** @throws ToolError `upstream_failed` */
  embed(texts: readonly string[], context: PrepareContext): Promise<Float32Array[]>;
  /**
   * The vector of an item's first passage, as `{…}`; the item is embedded where it isn't yet.
   *
   * @throws ToolError `not_found`, `upstream_failed`
   */
  vectorOf(kind: Kind, id: string, context: PrepareContext): Promise<string>;
  /**
   * Embeds the newest items that the filter lets through and that have no embedding yet, 64 passages at most. A failure of the
   * endpoint is logged and makes the answer less complete, nothing more.
   *
   * @returns whether nothing is missing now among the newest 500 of each kind
   */
  embedMissing(filter: Filter, dimensions: number, context: PrepareContext): Promise<boolean>;
}

export function createIndexer(embeddings: EmbeddingsClient): Indexer {
  return new LazyIndexer(embeddings);
}

class LazyIndexer implements Indexer {
  readonly #embeddings: EmbeddingsClient;
  /** Items that a call is embedding at the moment: others wait for it instead of paying twice. */
  readonly #underWay = new Map<string, Promise<void>>();
  /** When the last items were kept, on the clock of `performance`. */
  readonly #keptAt = new Map<string, number>();
  readonly #rejected = new Set<string>();

  constructor(embeddings: EmbeddingsClient) {
    this.#embeddings = embeddings;
  }

  get model(): string {
    return this.#embeddings.model;
  }

  async embed(texts: readonly string[], context: PrepareContext): Promise<Float32Array[]> {
    try {
      return await this.#ask(texts, context);
    } catch (error) {
      throw upstreamFailed(error);
    }
  }

  async vectorOf(kind: Kind, id: string, context: PrepareContext): Promise<string> {
    const passages = await context.transaction('read', ({ tx }) =>
      tx.rows<Passage & { vector: string | null }>(ITEM, [kind, id, this.model, this.#embeddings.dimensions ?? null]),
    );
    const first = passages[0];
    if (first === undefined) {
      throw new ToolError(
        'not_found',
        `There is no ${kind.replaceAll('_', ' ')} "${id}" that you may see and that has a text and is not archived.`,
        'The lists and semantic_search give the ids.',
        { field: 'id' },
      );
    }
    if (first.vector !== null) return first.vector;
    const vectors = await this.embed(
      passages.map(({ body }) => body),
      context,
    );
    await this.#keep([passages], vectors, context);
    return toLiteral(vectors[0] as Float32Array);
  }

  async embedMissing(filter: Filter, dimensions: number, context: PrepareContext): Promise<boolean> {
    const { kinds, vault, from, to } = filter;
    const reading = performance.now();
    const rows = await context.transaction('read', ({ tx }) =>
      tx.rows<Passage | { kind: null }>(UNEMBEDDED, [this.model, dimensions, kinds, vault, from, to, MAX_PASSAGES]),
    );
    const passages = rows.filter((row) => row.kind !== null);
    const missing = [...Map.groupBy(passages, keyOf).values()];
    const others = missing.flatMap((item) => this.#underWay.get(keyOfItem(item)) ?? []);
    const mine = missing.filter((item) => {
      const key = keyOfItem(item);
      // What was kept while this call was reading may have come too late for its reading.
      const justKept = (this.#keptAt.get(key) ?? -1) >= reading;
      return !justKept && !this.#underWay.has(key) && !this.#rejected.has(textOf(item));
    });
    const work =
      mine.length === 0 ? Promise.resolve() : this.#embedItems(mine, context, performance.now() + MISSING_WITHIN_MS);
    for (const item of mine) this.#underWay.set(keyOfItem(item), work);
    try {
      const outcomes = await Promise.allSettled([work, ...others]);
      context.signal.throwIfAborted();
      const failed = outcomes.find((outcome) => outcome.status === 'rejected');
      if (failed !== undefined) {
        const { rid } = context.caller.assertion;
        context.logger.warn({ rid, reason: messageOf(failed.reason) }, 'items were not embedded');
      }
      const skipped = missing.some((item) => this.#rejected.has(textOf(item)));
      return failed === undefined && !skipped && passages.length === rows.length;
    } finally {
      for (const item of mine) this.#underWay.delete(keyOfItem(item));
    }
  }

  /** All at once; one by one where the endpoint rejects something of it, so that one text doesn't keep the others out. */
  async #embedItems(items: readonly Item[], context: PrepareContext, deadline: number): Promise<void> {
    try {
      const vectors = await this.#ask(
        items.flatMap((item) => item.map(({ body }) => body)),
        context,
        Math.max(1, deadline - performance.now()),
      );
      await this.#keep(items, vectors, context);
    } catch (error) {
      if (!(error instanceof EmbeddingsError) || error.reason !== 'rejected') throw error;
      const [first, ...rest] = items;
      if (first !== undefined && rest.length === 0) return this.#reject(first, error, context);
      for (const item of items) await this.#embedItems([item], context, deadline);
    }
  }

  #reject(item: Item, error: EmbeddingsError, { caller, logger }: PrepareContext): void {
    if (this.#rejected.size >= MAX_REMEMBERED) this.#rejected.clear();
    this.#rejected.add(textOf(item));
    logger.warn(
      { rid: caller.assertion.rid, item: item[0] && keyOf(item[0]), reason: messageOf(error.cause) },
      'text rejected',
    );
  }

  async #ask(
    texts: readonly string[],
    { caller, logger, signal }: PrepareContext,
    deadlineMs?: number,
  ): Promise<Float32Array[]> {
    const start = performance.now();
    const vectors = await this.#embeddings.embed(texts, {
      signal,
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
    });
    const characters = texts.reduce((sum, text) => sum + text.length, 0);
    const durationMs = Math.round(performance.now() - start);
    logger.info({ rid: caller.assertion.rid, inputs: texts.length, characters, durationMs }, 'embedded');
    return vectors;
  }

  /** Of what changed meanwhile, nothing is kept. */
  async #keep(items: readonly Item[], vectors: readonly Float32Array[], context: PrepareContext): Promise<void> {
    const passages = items.flat();
    await context.transaction('write', ({ tx }) =>
      tx.rows(KEEP, [
        this.model,
        passages.map(({ kind }) => kind),
        passages.map(({ id }) => id),
        passages.map(({ passage }) => passage),
        passages.map(({ digest }) => digest),
        vectors.map(toLiteral),
      ]),
    );
    if (this.#keptAt.size >= MAX_REMEMBERED) this.#keptAt.clear();
    for (const item of items) this.#keptAt.set(keyOfItem(item), performance.now());
  }
}

function keyOf({ kind, id }: Passage): string {
  return `${kind}/${id}`;
}

/** Of an item with this text. */
function keyOfItem(item: Item): string {
  return item[0] === undefined ? '' : `${keyOf(item[0])}/${item[0].digest}`;
}

/** Another text of the same item has another one. */
function textOf(item: Item): string {
  return item.map(({ digest }) => digest).join();
}
