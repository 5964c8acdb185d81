/** A front door, and in front of it what adds a bearer token to every request. */
import { openFrontDoor } from '../harness/front-door.ts';
import type { TestPostgres } from '../harness/postgres.ts';
import type { RunningBank } from '../integration/server/support.ts';
import { addingProxy } from './run.ts';

export async function openDoorWithToken(
  postgres: TestPostgres,
  bank: RunningBank,
  root: Buffer,
): Promise<{ url: string } & AsyncDisposable> {
  const proxy = await addingProxy(async () => ({ authorization: `Bearer ${await door.token()}` }));
  const door = await openFrontDoor(postgres, bank, root, { frontDoor: proxy.origin });
  proxy.target = door.origin;
  return {
    url: door.url,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await door[Symbol.asyncDispose]();
    },
  };
}
