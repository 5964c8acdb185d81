/** Clients that call banks all the time, each as well-behaved as the SDK's: one call after the other, and none is tried again. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@modelcontextprotocol/client';
import { callTool, connect, type Era } from '../e2e/platform.ts';

interface Target {
  id: string;
  url: string;
  token: string;
}

export interface Failure {
  at: string;
  bank: string;
  era: Era;
  what: string;
  message: string;
}

/** A client connects anew after so many rounds, so that handshakes are among the calls. */
const ROUNDS_A_CONNECTION = 8;
const ERAS: readonly Era[] = ['modern', 'legacy'];

type Call = <T = Record<string, unknown>>(name: string, args?: Record<string, unknown>) => Promise<T>;

/** One round of a reader, in the words of the version before: they are taken as long as clients may know no others. */
async function read(call: Call): Promise<void> {
  await call('list_recordings', { limit: 5, vault: 'sales' });
  await call('search_recordings', { query: 'renewal', limit: 3 });
  await call('query', { entity: 'notes', limit: 5 });
}

/** One round of a writer: what was answered as written is there. */
async function write(call: Call): Promise<void> {
  const title = 'Written during an upgrade';
  const { id, version } = await call<{ id: string; version: number }>('create_note', { title, vaultId: 'sales' });
  await call('patch_note', { id, version, pinned: true });
  const note = await call<{ title: string; pinned: boolean }>('get_note', { id });
  if (note.title !== title || !note.pinned) throw new Error(`note ${id} is not as written: ${JSON.stringify(note)}`);
  await call('delete_note', { id });
}

/** Begins at once. */
export class Callers {
  /** Calls that succeeded, handshakes included. */
  succeeded = 0;
  readonly failures: Failure[] = [];
  slowestMs = 0;
  private isOver = false;
  private readonly pauseMs: number;
  private readonly loops: Promise<void>[];

  constructor(targets: readonly Target[], pauseMs: number) {
    this.pauseMs = pauseMs;
    this.loops = targets.flatMap((target) =>
      ERAS.flatMap((era) => [read, write].map((round) => this.loop(target, era, round))),
    );
  }

  /** After the rounds that are under way. */
  async stop(): Promise<void> {
    this.isOver = true;
    await Promise.all(this.loops);
  }

  private async loop(target: Target, era: Era, round: (call: Call) => Promise<void>): Promise<void> {
    while (!this.isOver) {
      let client: (Client & AsyncDisposable) | undefined;
      const timed = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
        const start = performance.now();
        try {
          const result = await work();
          this.succeeded += 1;
          return result;
        } catch (error) {
          this.failures.push({ at: new Date().toISOString(), bank: target.id, era, what, message: messageOf(error) });
          throw error;
        } finally {
          this.slowestMs = Math.max(this.slowestMs, performance.now() - start);
        }
      };
      try {
        const connected = await timed('connect', () => connect(target.url, target.token, era));
        client = connected;
        for (let count = 0; count < ROUNDS_A_CONNECTION && !this.isOver; count += 1) {
          await round(async (name, args) => {
            const answer = await timed(name, () => callTool(connected, name, args));
            await delay(this.pauseMs);
            return answer as never;
          });
        }
      } catch {
        // It is among the failures; the others go on, to tell how long it lasts.
        await delay(this.pauseMs);
      } finally {
        await client?.close().catch(() => {});
      }
    }
  }
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message} (${messageOf(error.cause)})`;
}
