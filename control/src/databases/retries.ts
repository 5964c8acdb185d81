const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 60_000;

/** What failed, by name: how often, and when each may be tried again. */
export class Retries {
  readonly #failed = new Map<string, { times: number; until: number }>();

  get size(): number {
    return this.#failed.size;
  }

  mayTry(name: string): boolean {
    return (this.#failed.get(name)?.until ?? 0) <= performance.now();
  }

  /** Names that wait. */
  waiting(): string[] {
    return [...this.#failed.keys()].filter((name) => !this.mayTry(name));
  }

  failed(name: string): void {
    const times = (this.#failed.get(name)?.times ?? 0) + 1;
    const pause = Math.min(FIRST_RETRY_MS * 2 ** (times - 1), LAST_RETRY_MS);
    this.#failed.set(name, { times, until: performance.now() + pause });
  }

  succeeded(name: string): void {
    this.#failed.delete(name);
  }

  /** Forgets all others. */
  keep(names: ReadonlySet<string>): void {
    for (const name of this.#failed.keys()) if (!names.has(name)) this.#failed.delete(name);
  }
}
