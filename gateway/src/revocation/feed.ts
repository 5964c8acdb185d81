import { Socket } from 'node:net';
import { type Logger, messageOf } from '@bankhouse/core';
import pg from 'pg';
import { parseNotices, type RevocationNotice, type Revocations } from './revocations.ts';

/** R1.4 leaves a second from the commit to every replica; reading takes a few milliseconds of it. */
const READ_EVERY_MS = 250;
/** A read that takes longer means a dead connection. */
const READ_LIMIT_MS = 3_000;
/** Everything is read again, so that what is over is forgotten, and what the database has lost is noticed. */
const READ_ALL_EVERY_MS = 60_000;
const READ_ALL_LIMIT_MS = 10_000;
const CONNECT_LIMIT_MS = 3_000;
const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 2_000;

/** What transactions from $1 on revoked, and from which transaction on to ask the next time: the first that is not over yet. */
const READ = `with found as (
    select json_build_object('jti', jti, 'exp', ceil(extract(epoch from expires_at))) as notice
      from control.revoked_tokens where expires_at > now() - interval '1 minute' and xid >= $1::text::xid8
    union all
    select json_build_object('bank', bank_id, 'notBefore', ceil(extract(epoch from not_before)))
      from control.bank_epochs where xid >= $1::text::xid8
  )
  select pg_snapshot_xmin(pg_current_snapshot())::text as next, coalesce((select json_agg(notice) from found), '[]') as notices`;
const FROM_THE_BEGINNING = '0';

/**
 * Keeps Revocations true by reading what is new four times a second. Breaks are mended by connecting anew; how long that may take
 * before calls are refused is Revocations' own rule.
 *
 * No LISTEN: every role of a database, a bank's too, can flood its channels, or fill the queue that all of them share, and then
 * nobody's notification can be sent (docs/adr/0014).
 */
export class RevocationFeed {
  private readonly databaseUrl: string;
  private readonly revocations: Revocations;
  private readonly logger: Logger;
  private readonly onChange: () => void;
  private readonly stopping = new AbortController();
  private loop: Promise<void> | undefined;

  /** @param options.onChange called after every revocation that arrives, to end calls that are still open */
  constructor(options: { databaseUrl: string; revocations: Revocations; logger: Logger; onChange?: () => void }) {
    this.databaseUrl = options.databaseUrl;
    this.revocations = options.revocations;
    this.logger = options.logger;
    this.onChange = options.onChange ?? (() => {});
  }

  start(): void {
    this.loop ??= this.run();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.loop;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    for (let attempt = 0; !signal.aborted; attempt++) {
      const connection = new FeedConnection(this.databaseUrl, this.revocations, this.logger, this.onChange);
      const stop = () => connection.destroy();
      signal.addEventListener('abort', stop, { once: true });
      try {
        await connection.open();
        this.logger.info({ known: this.revocations.size }, 'revocations loaded');
        attempt = 0;
        await connection.keep(signal);
      } catch (error) {
        if (!signal.aborted) this.logger.warn({ attempt, reason: messageOf(error) }, 'revocation feed broken');
      } finally {
        signal.removeEventListener('abort', stop);
        connection.destroy();
      }
      await pause(
        Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(attempt, 10)) * (0.5 + Math.random() / 2),
        signal,
      );
    }
  }
}

/** One connection, from its opening to the first thing that goes wrong with it. */
class FeedConnection {
  private readonly socket = new Socket();
  private readonly logger: Logger;
  private readonly client: pg.Client;
  private readonly revocations: Revocations;
  private readonly onChange: () => void;
  private readonly broken = Promise.withResolvers<never>();
  private next = FROM_THE_BEGINNING;

  constructor(databaseUrl: string, revocations: Revocations, logger: Logger, onChange: () => void) {
    this.revocations = revocations;
    this.logger = logger;
    this.onChange = onChange;
    this.client = new pg.Client({
      connectionString: databaseUrl,
      application_name: 'bankhouse-gateway revocations',
      connectionTimeoutMillis: CONNECT_LIMIT_MS,
      keepAlive: true,
      stream: () => this.socket,
    });
    this.broken.promise.catch(() => {});
    this.client.on('error', (error) => this.broken.reject(error));
    this.client.on('end', () => this.broken.reject(new Error('the connection was closed')));
  }

  async open(): Promise<void> {
    await this.client.connect();
    await this.readAll();
  }

  async keep(signal: AbortSignal): Promise<void> {
    let readAllAt = performance.now();
    while (!signal.aborted) {
      await Promise.race([pause(READ_EVERY_MS, signal), this.broken.promise]);
      if (signal.aborted) return;
      if (performance.now() - readAllAt > READ_ALL_EVERY_MS) {
        readAllAt = performance.now();
        await this.readAll();
      } else await this.readNew();
    }
  }

  /** Not `client.end()`: that waits for a server that may be gone. */
  destroy(): void {
    this.socket.destroy();
  }

  private async readAll(): Promise<void> {
    const sentAt = performance.now();
    const { notices, next } = await this.read(FROM_THE_BEGINNING, READ_ALL_LIMIT_MS);
    const lost = this.revocations.reconcile(notices, Date.now() / 1000);
    if (lost > 0) this.logger.error({ lost }, 'the database has lost revocations; they are kept here');
    this.next = next;
    this.revocations.confirm(sentAt);
    this.onChange();
  }

  private async readNew(): Promise<void> {
    const sentAt = performance.now();
    const { notices, next } = await this.read(this.next, READ_LIMIT_MS);
    // Transactions' numbers only grow, but for another server behind the same connection (a pooler), or one that was set back.
    if (BigInt(next) < BigInt(this.next)) return this.readAll();
    this.next = next;
    for (const notice of notices) this.revocations.add(notice);
    this.revocations.confirm(sentAt);
    if (notices.length > 0) this.onChange();
  }

  private async read(from: string, limitMs: number): Promise<{ notices: RevocationNotice[]; next: string }> {
    // Without a name, which a pooler may not keep.
    const query: pg.QueryConfig & { query_timeout: number } = { text: READ, values: [from], query_timeout: limitMs };
    const { rows } = await Promise.race([
      this.client.query<{ next: string; notices: unknown }>(query),
      this.broken.promise,
    ]);
    const [row] = rows;
    if (row === undefined) throw new Error('the database answered nothing');
    return { notices: parseNotices(row.notices), next: row.next };
  }
}

/** Resolves after `ms` milliseconds, or when the signal aborts. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    signal.addEventListener('abort', finish, { once: true });
  });
}
