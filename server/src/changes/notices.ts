/** What the database tells a feed: one row, or many of a kind (`id` null), as the feed's reader sees it. */
export interface Change {
  readonly kind: string;
  readonly id: string | null;
  readonly operation: 'created' | 'updated' | 'deleted' | 'many';
}

/** What a client wants to hear of. */
export interface Wish {
  /** Exact URIs, of rows or of whole lists. */
  readonly uris: readonly string[];
  /** Also when rows appear or go. */
  readonly lists: boolean;
}

/** What a client is told: that there is something to read again, never what. */
export type Notice = { readonly kind: 'updated'; readonly uri: string } | { readonly kind: 'list_changed' };

const KINDS = ['vaults', 'recordings', 'notes', 'tasks', 'comments', 'chats', 'chat_messages'];

/** Whether changes of what the URI names are told: `bankhouse://<bank>/<kind>/<id>` and `bankhouse://<bank>/<kind>`. */
export function isWatchable(uri: string, bank: string): boolean {
  return new RegExp(`^bankhouse://${bank}/(?:${KINDS.join('|')})(?:/[a-z0-9-]{1,64})?$`).test(uri);
}

/**
 * What a client is still to be told. However much changes while it doesn't read, there is at most one notice for each URI that it
 * asked for, and one for the lists.
 */
export class Notices {
  readonly #prefix: string;
  #wanted: ReadonlySet<string>;
  readonly #lists: boolean;
  readonly #uris = new Set<string>();
  #listChanged = false;

  constructor(bank: string, wish: Wish) {
    this.#prefix = `bankhouse://${bank}/`;
    this.#wanted = new Set(wish.uris);
    this.#lists = wish.lists;
  }

  /** Other URIs are wanted from now on; what is still to be told of those that aren't any more is told to nobody. */
  want(uris: readonly string[]): void {
    this.#wanted = new Set(uris);
    for (const uri of this.#uris) if (!this.#wanted.has(uri)) this.#uris.delete(uri);
  }

  /** Whether the client was told everything. */
  get isEmpty(): boolean {
    return this.#uris.size === 0 && !this.#listChanged;
  }

  add({ kind, id, operation }: Change): void {
    const list = this.#prefix + kind;
    this.#want(list);
    if (id !== null) this.#want(`${list}/${id}`);
    else this.#wantAll(`${list}/`);
    if (this.#lists && operation !== 'updated') this.#listChanged = true;
  }

  /** Changes were missed: whatever the client read may be old. */
  addAll(): void {
    this.#wantAll(this.#prefix);
    this.#listChanged = this.#lists;
  }

  /** The next notice, which is the caller's from then on. */
  take(): Notice | undefined {
    for (const uri of this.#uris) {
      this.#uris.delete(uri);
      return { kind: 'updated', uri };
    }
    if (!this.#listChanged) return undefined;
    this.#listChanged = false;
    return { kind: 'list_changed' };
  }

  #want(uri: string): void {
    if (this.#wanted.has(uri)) this.#uris.add(uri);
  }

  #wantAll(prefix: string): void {
    for (const uri of this.#wanted) if (uri.startsWith(prefix)) this.#uris.add(uri);
  }
}
