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

/** Begins at once: a reader, a writer and, of the modern era, a listener for each bank. */
export class Callers {
  /** Calls that succeeded, handshakes included. */
  succeeded = 0;
  readonly failures: Failure[] = [];
  slowestMs = 0;
  private readonly over = new AbortController();
  private readonly pauseMs: number;
  private readonly loops: Promise<void>[];

  constructor(targets: readonly Target[], pauseMs: number) {
    this.pauseMs = pauseMs;
    this.loops = targets.flatMap((target) => [
      ...ERAS.flatMap((era) => [read, write].map((round) => this.loop(target, era, round))),
      this.listen(target),
    ]);
  }

  /** After the rounds that are under way. */
  async stop(): Promise<void> {
    this.over.abort();
    await Promise.all(this.loops);
  }

  private get isOver(): boolean {
    return this.over.signal.aborted;
  }

  /** Listens all the time. A stream ends with the pod or the gateway that has it; then there is another at once. */
  private async listen(target: Target): Promise<void> {
    const over = new Promise<'over'>((resolve) => this.over.signal.addEventListener('abort', () => resolve('over')));
    while (!this.isOver) {
      try {
        await using client = await this.timed(target, 'modern', 'connect', () => connect(target.url, target.token));
        const filter = { resourceSubscriptions: [`bankhouse://${target.id}/notes`] };
        const stream = await this.timed(target, 'modern', 'listen', () => client.listen(filter));
        await Promise.race([stream.closed, over]);
        await stream.close();
      } catch {
        await delay(this.pauseMs);
      }
    }
  }

  private async timed<T>(target: Target, era: Era, what: string, work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      const result = await work();
      this.succeeded += 1;
      return result;
    } catch (error) {
      this.fail(target, era, what, error);
      throw error;
    } finally {
      this.slowestMs = Math.max(this.slowestMs, performance.now() - start);
    }
  }

  private fail({ id: bank }: Target, era: Era, what: string, error: unknown): void {
    this.failures.push({ at: new Date().toISOString(), bank, era, what, message: messageOf(error) });
  }

  private async loop(target: Target, era: Era, round: (call: Call) => Promise<void>): Promise<void> {
    while (!this.isOver) {
      let client: (Client & AsyncDisposable) | undefined;
      try {
        const connected = await this.timed(target, era, 'connect', () => connect(target.url, target.token, era));
        client = connected;
        for (let count = 0; count < ROUNDS_A_CONNECTION && !this.isOver; count += 1) {
          await round(async (name, args) => {
            const answer = await this.timed(target, era, name, () => callTool(connected, name, args));
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
