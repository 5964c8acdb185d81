/** Steady state: nobody changes anything, so the operator writes nothing. Counted by the API server. */
import { beforeAll, describe, expect, it } from 'vitest';
import { conditionOf, kubectl, platform, until } from './platform.ts';

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

/**
 * Written by others: leases (by everyone who leads), nodes and pods (kubelet; the operator has no right to write them), reviews and
 * tokens (no objects).
 */
const NOT_THE_OPERATORS =
  /coordination\.k8s\.io\/leases|\/nodes\/|\/pods\/|authentication\.k8s\.io|authorization\.k8s\.io|serviceaccounts\/token/;

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
    6 * MINUTE_MS,
  );
});

/** What earlier tests set in motion has come to rest: no pod is still ending, and nothing was written for five seconds. */
async function settled(): Promise<void> {
  await until(
    'the pods that end to be gone',
    async () => (await kubectl(['get', 'pods', '-A', '-o', 'jsonpath={.items[*].metadata.deletionTimestamp}'])) === '',
    2 * MINUTE_MS,
  );
  const total = async () =>
    [...(await writes())].filter(([key]) => !NOT_THE_OPERATORS.test(key)).reduce((sum, [, count]) => sum + count, 0);
  let last = await total();
  let since = performance.now();
  await until('five seconds without a write', async () => {
    const now = await total();
    if (now !== last) since = performance.now();
    last = now;
    return performance.now() - since > 5000;
  });
}
