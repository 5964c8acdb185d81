/**
 * The five entities in memory, as issue 4 and R3.1 describe them, written down without a look at the tools: who sees what, what
 * each operation does, and by which code it fails. Rows of one bank; nothing here is asynchronous.
 */
export const KINDS = ['note', 'task', 'comment', 'chat', 'chat_message'] as const;
export type Kind = (typeof KINDS)[number];
export const PLURALS: Readonly<Record<Kind, string>> = {
  note: 'notes',
  task: 'tasks',
  comment: 'comments',
  chat: 'chats',
  chat_message: 'chat_messages',
};

/** A token: who, and the vaults that it opens (null: all, and what is in none). */
export interface Token {
  readonly name: string;
  readonly sub: string;
  readonly vaults: readonly string[] | null;
}

export type Fields = Readonly<Record<string, unknown>>;
export interface Row {
  readonly id: string;
  readonly kind: Kind;
  /** When it was made, among all. */
  readonly order: number;
  readonly createdBy: string;
  updatedBy: string;
  version: number;
  status: string;
  vaultId: string | null;
  archived: boolean;
  fields: Fields;
}

export type Code =
  | 'not_found'
  | 'stale_version'
  | 'invalid_transition'
  | 'invalid_argument'
  | 'conflict'
  | 'batch_failed';
export type Result =
  | { ok: true; row: Row; replayed?: boolean; deleted?: Record<string, number> }
  | { ok: false; code: Code };

const failed = (code: Code): Result => ({ ok: false, code });
const PLACED: readonly Kind[] = ['note', 'task', 'chat'];
const FIRST_STATUS: Readonly<Record<Kind, string>> = {
  note: 'draft',
  task: 'open',
  comment: 'open',
  chat: 'open',
  chat_message: 'sent',
};

export const ACTIONS: Readonly<Record<Kind, Readonly<Record<string, readonly [from: readonly string[], to: string]>>>> =
  {
    note: { finalize: [['draft'], 'final'], reopen: [['final'], 'draft'] },
    task: {
      start: [['open'], 'in_progress'],
      complete: [['open', 'in_progress'], 'done'],
      cancel: [['open', 'in_progress'], 'cancelled'],
      reopen: [['in_progress', 'done', 'cancelled'], 'open'],
    },
    comment: { resolve: [['open'], 'resolved'], reopen: [['resolved'], 'open'] },
    chat: { close: [['open'], 'closed'], reopen: [['closed'], 'open'] },
    chat_message: { pin: [['sent'], 'pinned'], unpin: [['pinned'], 'sent'], redact: [['sent', 'pinned'], 'redacted'] },
  };

/** What is left out of create and update. */
export const DEFAULTS: Readonly<Record<Kind, Fields>> = {
  note: { body: '', pinned: false, tags: [], recordingId: null, language: null },
  task: {
    description: '',
    priority: 'normal',
    dueAt: null,
    assignee: null,
    tags: [],
    recordingId: null,
    language: null,
  },
  comment: { language: null },
  chat: { participants: [], tags: [], recordingId: null, language: null },
  chat_message: { role: 'user', author: null, replyTo: null, language: null },
};
/** Set once, by create. */
const FIXED = ['parentKind', 'parentId', 'chatId', 'role', 'replyTo'];

export class Model {
  readonly rows = new Map<string, Row>();
  /** Ids that were ever made, also of rows that are gone. */
  readonly known: { id: string; kind: Kind }[] = [];
  /** The last batch with a key that was done. */
  lastBatch: { by: Token; args: Fields; key: string; digest: string } | undefined;
  readonly #keys = new Map<string, { digest: string; id: string; batch?: { by: Token; answer: readonly Fields[] } }>();
  readonly #vaults: readonly string[];
  readonly #recordings: ReadonlyMap<string, readonly string[]>;

  constructor(vaults: readonly string[], recordings: ReadonlyMap<string, readonly string[]>) {
    this.#vaults = vaults;
    this.#recordings = recordings;
  }

  /** A copy to try things on. */
  clone(): Model {
    const copy = new Model(this.#vaults, this.#recordings);
    for (const [id, row] of this.rows) copy.rows.set(id, { ...row });
    copy.known.push(...this.known);
    for (const [key, known] of this.#keys) copy.#keys.set(key, known);
    return copy;
  }

  /** Ids of the calls that a token sees in a vault, or in any. */
  recordings(token: Token, vaultId?: string): string[] {
    return [...this.#recordings]
      .filter(([id, vaults]) => this.#seesRecording(token, id) && (vaultId === undefined || vaults.includes(vaultId)))
      .filter(() => vaultId === undefined || this.sees(token, vaultId))
      .map(([id]) => id);
  }

  hasVault(token: Token, vaultId: string): boolean {
    return this.#vaults.includes(vaultId) && this.sees(token, vaultId);
  }

  /**
   * What a batch with this key answers without doing anything: what it answered before, to a token that opens all that the
   * first one opened, or a conflict. undefined: it is to be done, and the key is taken.
   */
  claimBatch(token: Token, key: string, digest: string): readonly Fields[] | 'conflict' | undefined {
    const known = this.#keys.get(`${token.sub}/${key}`);
    if (known === undefined) {
      this.#keys.set(`${token.sub}/${key}`, { digest, id: '' });
      return undefined;
    }
    const { batch } = known;
    if (batch === undefined || known.digest !== digest) return 'conflict';
    const opens = token.vaults === null || batch.by.vaults?.every((vault) => token.vaults?.includes(vault)) === true;
    return opens ? batch.answer : 'conflict';
  }

  keepBatch(token: Token, key: string, digest: string, answer: readonly Fields[]): void {
    this.#keys.set(`${token.sub}/${key}`, { digest, id: '', batch: { by: token, answer } });
  }

  sees(token: Token, vaultId: string | null): boolean {
    return token.vaults === null || (vaultId !== null && token.vaults.includes(vaultId));
  }

  /** Newest first. */
  visible(token: Token, kind: Kind): Row[] {
    return [...this.rows.values()]
      .filter((row) => row.kind === kind && this.sees(token, row.vaultId))
      .sort((a, b) => b.order - a.order);
  }

  /**
   * @param args as the tool gets them, without idempotencyKey
   * @param nextId the id that the tool gave to what it made
   */
  create(token: Token, kind: Kind, args: Fields, key: string | undefined, nextId: () => string): Result {
    const { vaultId: wanted, ...fields } = args;
    let vaultId = (wanted ?? null) as string | null;
    if (PLACED.includes(kind)) {
      if (wanted === undefined && token.vaults?.length === 1) vaultId = token.vaults[0] ?? null;
      const refusal = this.#mayPlace(token, vaultId);
      if (refusal !== undefined) return refusal;
    }
    const digest = JSON.stringify([kind, args]);
    const replay = key === undefined ? undefined : this.#keys.get(`${token.sub}/${key}`);
    if (replay !== undefined) {
      const row = this.rows.get(replay.id);
      if (replay.digest !== digest || row === undefined || !this.sees(token, row.vaultId)) return failed('conflict');
      return { ok: true, row, replayed: true };
    }
    const place = this.#place(token, kind, fields, vaultId);
    if ('ok' in place) return place;
    const id = nextId();
    const row: Row = {
      id,
      kind,
      order: this.known.length,
      createdBy: token.sub,
      updatedBy: token.sub,
      version: 1,
      status: FIRST_STATUS[kind],
      vaultId: place.vaultId,
      archived: false,
      fields: { ...DEFAULTS[kind], ...fields },
    };
    this.rows.set(id, row);
    this.known.push({ id, kind });
    if (key !== undefined) this.#keys.set(`${token.sub}/${key}`, { digest, id });
    return { ok: true, row, replayed: false };
  }

  /** update gives every field a value, patch only those that are named; a vaultId that is not named stays. */
  change(token: Token, kind: Kind, id: string, version: number, args: Fields, whole: boolean): Result {
    const { vaultId, ...given } = args;
    if (vaultId !== undefined) {
      const refusal = this.#mayPlace(token, vaultId as string | null);
      if (refusal !== undefined && (vaultId === null || token.vaults !== null)) return refusal;
    }
    const row = this.#find(token, kind, id);
    if (row === undefined) return failed('not_found');
    if (row.version !== version) return failed('stale_version');
    const recordingId = given.recordingId as string | null | undefined;
    if (
      typeof recordingId === 'string' &&
      recordingId !== row.fields.recordingId &&
      !this.#seesRecording(token, recordingId)
    ) {
      return failed('not_found');
    }
    if (vaultId !== undefined && vaultId !== null && !this.#vaults.includes(vaultId as string))
      return failed('not_found');
    if (row.status === 'redacted' && given.body !== undefined && given.body !== '') return failed('conflict');
    const defaults = whole ? Object.entries(DEFAULTS[kind]).filter(([name]) => !FIXED.includes(name)) : [];
    row.fields = { ...row.fields, ...Object.fromEntries(defaults), ...given };
    this.#touch(row, token);
    if (vaultId !== undefined) this.#move(row, vaultId as string | null, token);
    return { ok: true, row };
  }

  delete(token: Token, kind: Kind, id: string, version: number | undefined): Result {
    const row = this.#find(token, kind, id);
    if (row === undefined) return failed('not_found');
    if (version !== undefined && version !== row.version) return failed('stale_version');
    const children = this.#children(row);
    const counted: Kind[] =
      kind === 'chat' ? ['chat_message', 'comment'] : kind === 'note' || kind === 'task' ? ['comment'] : [];
    const deleted = Object.fromEntries([
      [PLURALS[kind], 1],
      ...counted.map((child) => [PLURALS[child], children.filter((one) => one.kind === child).length]),
    ]);
    for (const one of [row, ...children]) this.rows.delete(one.id);
    for (const reply of this.rows.values()) {
      if (reply.kind !== 'chat_message' || reply.fields.replyTo !== id) continue;
      reply.fields = { ...reply.fields, replyTo: null };
      this.#touch(reply, token);
    }
    return { ok: true, row, deleted };
  }

  archive(token: Token, kind: Kind, id: string, archived: boolean): Result {
    const row = this.#find(token, kind, id);
    if (row === undefined) return failed('not_found');
    if (row.archived !== archived) {
      row.archived = archived;
      this.#touch(row, token);
    }
    return { ok: true, row };
  }

  process(token: Token, kind: Kind, id: string, action: string, version: number | undefined): Result {
    const row = this.#find(token, kind, id);
    if (row === undefined) return failed('not_found');
    if (version !== undefined && version !== row.version) return failed('stale_version');
    const [from, to] = ACTIONS[kind][action] ?? [[], ''];
    if (!from.includes(row.status)) return failed('invalid_transition');
    row.status = to;
    if (action === 'redact') row.fields = { ...row.fields, body: '' };
    this.#touch(row, token);
    return { ok: true, row };
  }

  #find(token: Token, kind: Kind, id: string): Row | undefined {
    const row = this.rows.get(id);
    return row?.kind === kind && this.sees(token, row.vaultId) ? row : undefined;
  }

  #seesRecording(token: Token, id: string): boolean {
    const vaults = this.#recordings.get(id);
    return vaults !== undefined && (token.vaults === null || vaults.some((vault) => token.vaults?.includes(vault)));
  }

  /** Why a token can't mean a vault as the place of a row. That there is none of that name, the database says later. */
  #mayPlace(token: Token, vaultId: string | null): Result | undefined {
    if (token.vaults === null) return undefined;
    if (vaultId === null) return failed('invalid_argument');
    return token.vaults.includes(vaultId) ? undefined : failed('not_found');
  }

  #place(token: Token, kind: Kind, fields: Fields, vaultId: string | null): { vaultId: string | null } | Result {
    if (kind === 'chat_message') {
      const chat = this.#find(token, 'chat', fields.chatId as string);
      if (chat === undefined) return failed('not_found');
      if (chat.status === 'closed') return failed('conflict');
      const replyTo = fields.replyTo as string | undefined;
      if (replyTo !== undefined && this.rows.get(replyTo)?.fields.chatId !== chat.id) return failed('not_found');
      return { vaultId: chat.vaultId };
    }
    if (kind === 'comment') return this.#placeComment(token, fields, vaultId);
    const recordingId = fields.recordingId as string | undefined;
    if (recordingId !== undefined && !this.#seesRecording(token, recordingId)) return failed('not_found');
    if (vaultId !== null && !this.#vaults.includes(vaultId)) return failed('not_found');
    return { vaultId };
  }

  #placeComment(token: Token, fields: Fields, wanted: string | null): { vaultId: string | null } | Result {
    const parentId = fields.parentId as string;
    if (fields.parentKind !== 'recording') {
      const parent = this.#find(token, fields.parentKind as Kind, parentId);
      if (parent === undefined) return failed('not_found');
      return wanted === null || wanted === parent.vaultId ? { vaultId: parent.vaultId } : failed('invalid_argument');
    }
    if (!this.#seesRecording(token, parentId)) return failed('not_found');
    const vaults = (this.#recordings.get(parentId) ?? []).filter((vault) => this.sees(token, vault));
    if (wanted === null && vaults.length < 2) return { vaultId: vaults[0] ?? null };
    return wanted !== null && vaults.includes(wanted) ? { vaultId: wanted } : failed('invalid_argument');
  }

  #children(row: Row): Row[] {
    return [...this.rows.values()].filter(
      ({ kind, fields }) =>
        (kind === 'comment' && fields.parentKind === row.kind && fields.parentId === row.id) ||
        (kind === 'chat_message' && fields.chatId === row.id),
    );
  }

  #move(row: Row, vaultId: string | null, token: Token): void {
    row.vaultId = vaultId;
    for (const child of this.#children(row)) {
      if (child.vaultId === vaultId) continue;
      child.vaultId = vaultId;
      this.#touch(child, token);
    }
  }

  #touch(row: Row, token: Token): void {
    row.version += 1;
    row.updatedBy = token.sub;
  }
}
