import { afterAll, beforeAll } from 'vitest';

/** Starts what the tests of a file share before the first of them, hands it to `use`, and disposes of it after the last. */
export function shared<T extends AsyncDisposable>(start: () => Promise<T>, use: (started: T) => void): void {
  let started: T | undefined;
  beforeAll(async () => {
    started = await start();
    use(started);
  });
  afterAll(() => started?.[Symbol.asyncDispose]());
}
