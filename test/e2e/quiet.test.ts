/** Steady state: nobody changes anything, so the operator writes nothing. Counted by the API server. */
import { beforeAll, describe, expect, it } from 'vitest';
import { conditionOf, kubectl, platform } from './platform.ts';

const MINUTE_MS = 60_000;
const WRITES = /^apiserver_request_total\{([^}]*verb="(?:POST|PUT|PATCH|APPLY|DELETE)"[^}]*)\} ([0-9.e+]+)$/gm;

/** Writes so far by group and resource, of the resources that the operator alone writes here. */
async function writes(): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const [, labels = '', value = ''] of (await kubectl(['get', '--raw', '/metrics'])).matchAll(WRITES)) {
    const label = (name: string) => new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1] ?? '';
    const key = `${label('verb')} ${label('group')}/${label('resource')}/${label('subresource')}`;
    counts.set(key, (counts.get(key) ?? 0) + Number(value));
  }
  return counts;
}

/** Written by others all the time: leases (by everyone who leads), node status (kubelet), reviews and tokens (no objects). */
const NOT_THE_OPERATORS =
  /coordination\.k8s\.io\/leases|\/nodes\/|authentication\.k8s\.io|authorization\.k8s\.io|serviceaccounts\/token/;

describe('a platform at rest', () => {
  beforeAll(async () => {
    for (const bank of platform.banks) await conditionOf(bank.id, 'Ready', 'True');
  });

  it(
    'sees no write in a minute, leases apart',
    async () => {
      await settled();
      const before = await writes();
      await new Promise((resolve) => setTimeout(resolve, MINUTE_MS));
      const after = await writes();
      const grown = [...after].filter(([key, count]) => count > (before.get(key) ?? 0) && !NOT_THE_OPERATORS.test(key));
      expect(grown).toEqual([]);
    },
    3 * MINUTE_MS,
  );
});

/** What earlier tests set in motion (garbage collection, endpoints of ended pods) has come to rest: 5 s without a write. */
async function settled(): Promise<void> {
  const total = async () =>
    [...(await writes())].filter(([key]) => !NOT_THE_OPERATORS.test(key)).reduce((sum, [, n]) => sum + n, 0);
  for (let last = -1, now = await total(), tries = 0; last !== now && tries < 12; tries++) {
    last = now;
    await new Promise((resolve) => setTimeout(resolve, 5000));
    now = await total();
  }
}
