import { Socket } from 'node:net';
import { type Logger, messageOf } from '@bankhouse/core';
import pg from 'pg';
import { parseNotice, type RevocationNotice, type Revocations } from './revocations.ts';

const CHANNEL = 'bankhouse_revocations';
const HEARTBEAT_MS = 1_000;
/** A heartbeat that does not come back within this means a dead connection, or a pooler that swallows notifications. */
const HEARTBEAT_LIMIT_MS = 3_000;
const CATCH_UP_MS = 60_000;
const CONNECT_LIMIT_MS = 3_000;
const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 2_000;

/** More hints than this at once are answered by reading everything. */
const MAX_HINTS = 1_000;

const TOKENS = `select json_build_object('jti', jti, 'exp', ceil(extract(epoch from expires_at))) as notice
  from control.revoked_tokens where expires_at > now() - interval '1 minute'`;
const EPOCHS = `select json_build_object('bank', bank_id, 'notBefore', ceil(extract(epoch from not_before))) as notice
  from control.bank_epochs where true`;
const READ_ALL = `${TOKENS} union all ${EPOCHS}`;
const READ_SOME = `${TOKENS} and jti = any($1) union all ${EPOCHS} and bank_id = any($2)`;

/**
 * Keeps Revocations true: listens, reads the tables once listening (and every minute, for what nobody expects to miss), and
 * proves every second that notifications reach us by sending one to itself. Breaks are mended by connecting anew; how long
 * that may take before calls are refused is Revocations' own rule.
 *
 * A notification is only a hint at which rows to read: any role of the database can send one, a bank's too.
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
      const connection = new FeedConnection(this.databaseUrl, this.revocations, this.onChange);
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
  private readonly client: pg.Client;
  private readonly revocations: Revocations;
  private readonly onChange: () => void;
  /** Rows to look at, by jti and by bank. */
  private hints = { tokens: new Set<string>(), banks: new Set<string>() };
  /** Resolves when every hint heard so far has been followed. */
  private following: Promise<void> = Promise.resolve();
  private readonly broken = Promise.withResolvers<never>();
  private heartbeat: { payload: string; heard: () => void } | undefined;
  private beats = 0;
  /** Of this connection alone, so that replicas don't wake each other. */
  private readonly channel = `bankhouse_beat_${crypto.randomUUID()}`;

  constructor(databaseUrl: string, revocations: Revocations, onChange: () => void) {
    this.revocations = revocations;
    this.onChange = onChange;
    this.client = new pg.Client({
      connectionString: databaseUrl,
      application_name: 'bankhouse-gateway revocations',
      connectionTimeoutMillis: CONNECT_LIMIT_MS,
      query_timeout: 10_000,
      keepAlive: true,
      stream: () => this.socket,
    });
    this.broken.promise.catch(() => {});
    this.client.on('error', (error) => this.broken.reject(error));
    this.client.on('end', () => this.broken.reject(new Error('the connection was closed')));
    this.client.on('notification', (message) => this.hear(message));
  }

  async open(): Promise<void> {
    await this.client.connect();
    await this.client.query(`listen ${CHANNEL}`);
    await this.read();
    await this.beat();
  }

  async keep(signal: AbortSignal): Promise<void> {
    let readAt = performance.now();
    while (!signal.aborted) {
      await Promise.race([pause(HEARTBEAT_MS, signal), this.broken.promise]);
      if (signal.aborted) return;
      await this.beat();
      if (performance.now() - readAt > CATCH_UP_MS) {
        await this.read();
        readAt = performance.now();
      }
    }
  }

  /** Not `client.end()`: that waits for a server that may be gone. */
  destroy(): void {
    this.socket.destroy();
  }

  /** A notification to ourselves on a channel of our own; everything committed before it arrives before it. */
  private async beat(): Promise<void> {
    const sentAt = performance.now();
    this.beats += 1;
    const payload = `beat ${process.pid} ${this.beats}`;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.heartbeat = { payload, heard: resolve };
    const limit = new AbortController();
    const tooLate = pause(HEARTBEAT_LIMIT_MS, limit.signal).then(() => {
      if (!limit.signal.aborted) {
        throw new Error(
          'no notification came back within 3 s; a pooler in transaction mode loses them: give a direct DATABASE_URL',
        );
      }
    });
    try {
      if (this.beats === 1)
        await Promise.race([this.client.query(`listen "${this.channel}"`), tooLate, this.broken.promise]);
      const sent = this.client.query('select pg_notify($1, $2)', [this.channel, payload]);
      await Promise.race([Promise.all([sent, promise]), tooLate, this.broken.promise]);
      await Promise.race([this.following, tooLate, this.broken.promise]);
      this.revocations.confirm(sentAt);
    } finally {
      limit.abort();
    }
  }

  private async read(): Promise<void> {
    const { rows } = await this.client.query<{ notice: unknown }>(READ_ALL);
    this.revocations.replace(noticesOf(rows));
    this.onChange();
  }

  private hear({ channel, payload }: pg.Notification): void {
    if (channel !== CHANNEL) {
      if (payload === this.heartbeat?.payload) this.heartbeat?.heard();
      return;
    }
    const notice = parseNotice(payload);
    if (notice === undefined) return;
    const isFirst = this.hints.tokens.size + this.hints.banks.size === 0;
    if ('jti' in notice) this.hints.tokens.add(notice.jti);
    else this.hints.banks.add(notice.bank);
    if (isFirst) {
      this.following = this.following.then(() => this.follow());
      this.following.catch((error: unknown) => this.broken.reject(error));
    }
  }

  /** Queries run one after the other on the connection, so a read that is under way can't undo what this adds. */
  private async follow(): Promise<void> {
    const { tokens, banks } = this.hints;
    this.hints = { tokens: new Set(), banks: new Set() };
    if (tokens.size + banks.size > MAX_HINTS) return this.read();
    const { rows } = await this.client.query<{ notice: unknown }>(READ_SOME, [[...tokens], [...banks]]);
    for (const notice of noticesOf(rows)) this.revocations.add(notice);
    this.onChange();
  }
}

function noticesOf(rows: readonly { notice: unknown }[]): RevocationNotice[] {
  return rows.flatMap(({ notice }) => parseNotice(JSON.stringify(notice)) ?? []);
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
