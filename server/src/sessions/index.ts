import type { Caller } from '../caller.ts';
import type { Database } from '../database/database.ts';
import { type Statement, statement } from '../database/statement.ts';
import type { Secrets } from '../secrets.ts';
import { storedSubject } from '../subjects.ts';
import { openPlace, openSession, type Place, sealPlace, sealSession } from './seal.ts';

export type { Place } from './seal.ts';

/** How long what was found out about a session is good for, in milliseconds: another replica may have ended it since. */
const KNOWN_MS = 5000;
/** Sessions that something is known about. */
const MAX_KNOWN = 1024;

const WATCH = statement({ name: 'watch', text: 'select api.watch($1, $2) as state' });
const UNWATCH = statement({ name: 'unwatch', text: 'select api.unwatch($1, $2) as state' });
const END = statement({ name: 'end_session', text: 'select api.end_session($1)' });
const IS_OVER = statement({ name: 'session_is_over', text: 'select api.session_is_over($1) as over' });

/** Sessions of clients of MCP 2025-11-25 and before (docs/adr/0033). A session is of one subject; whoever else has its id has nothing. */
export interface Sessions {
  /** Id of a new one. Nothing is kept of it until it watches, listens or ends. */
  begin(caller: Caller): string;
  /** @returns its UUID; undefined where it isn't this caller's, was never given, or is over by its time */
  open(id: string, caller: Caller): string | undefined;
  /** Whether it was ended; what another replica did is known 5 seconds later at most. @throws ToolError */
  isOver(session: string, caller: Caller, signal: AbortSignal): Promise<boolean>;
  /** Whether it is known to have ended, without asking. */
  isKnownOver(session: string): boolean;
  /** @throws ToolError */
  watch(session: string, uri: string, caller: Caller, signal: AbortSignal): Promise<'watched' | 'full' | 'over'>;
  /** @throws ToolError */
  unwatch(session: string, uri: string, caller: Caller, signal: AbortSignal): Promise<'unwatched' | 'over'>;
  /** With its stream, at whatever replica. @throws ToolError */
  end(session: string, caller: Caller, signal: AbortSignal): Promise<void>;
  /** The id of an event after which a client knows all up to there. */
  eventId(session: string, place: Place): string | undefined;
  /** What it says, where it is one of this session's. */
  placeOf(session: string, eventId: string): Place | undefined;
}

/** @param options.now milliseconds since 1970 */
export function openSessions(options: { secrets: Secrets; database: Database; now?: () => number }): Sessions {
  const { secrets, database } = options;
  const now = options.now ?? Date.now;
  const known = new Known(now);
  const seconds = () => Math.floor(now() / 1000);
  const change = <S>(statement: Statement, values: readonly string[], caller: Caller, signal: AbortSignal) =>
    database.withCaller(caller, { signal, readOnly: false }, async (tx) => {
      const [row] = await tx.rows<{ state: S }>(statement, values);
      if (row === undefined) throw new Error(`api.${statement.name} gave no row`);
      return row.state;
    });
  return {
    begin: ({ assertion }) => sealSession(secrets.sealKeys(), storedSubject(assertion), seconds()),
    open: (id, { assertion }) => openSession(secrets.sealKeys(), id, storedSubject(assertion), seconds()),
    async isOver(session, caller, signal) {
      const before = known.get(session);
      if (before !== undefined) return before;
      const over = await database.withCaller(caller, { signal, readOnly: true }, async (tx) => {
        const [row] = await tx.rows<{ over: boolean }>(IS_OVER, [session]);
        return row?.over === true;
      });
      known.set(session, over);
      return over;
    },
    isKnownOver: (session) => known.get(session) === true,
    watch: (session, uri, caller, signal) => change(WATCH, [session, uri], caller, signal),
    unwatch: (session, uri, caller, signal) => change(UNWATCH, [session, uri], caller, signal),
    async end(session, caller, signal) {
      await change(END, [session], caller, signal);
      known.set(session, true);
    },
    eventId: (session, place) => sealPlace(secrets.sealKeys(), session, place),
    placeOf: (session, eventId) => openPlace(secrets.sealKeys(), session, eventId),
  };
}

/** What was found out lately. That a session is over stays so. */
class Known {
  readonly #now: () => number;
  readonly #over = new Map<string, { over: boolean; at: number }>();

  constructor(now: () => number) {
    this.#now = now;
  }

  get(session: string): boolean | undefined {
    const found = this.#over.get(session);
    if (found === undefined) return undefined;
    return found.over || this.#now() - found.at < KNOWN_MS ? found.over : undefined;
  }

  set(session: string, over: boolean): void {
    this.#over.delete(session);
    this.#over.set(session, { over, at: this.#now() });
    for (const oldest of this.#over.keys()) {
      if (this.#over.size <= MAX_KNOWN) break;
      this.#over.delete(oldest);
    }
  }
}
