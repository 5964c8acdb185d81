import { afterAll, beforeEach, expect } from 'vitest';
import { LIST, MODERN_LIST, open, type Seen, send, startIssuer, startPod, startTestGateway } from './support.ts';

/**
 * A gateway between an issuer and a bank's pod, for the tests of one file. Each test begins with a pod that has seen nothing and
 * answers every call. Limits are low, so that a test reaches them.
 */
export async function startNeighbours() {
  const issuer = await startIssuer();
  const pod = await startPod();
  const gateway = await startTestGateway({
    issuers: [issuer],
    podPort: pod.port,
    env: {
      MAX_CONCURRENT_PER_BANK: '2',
      WAKE_DEADLINE_MS: '400',
      MAX_BODY_BYTES: '200000',
      UPSTREAM_HEADERS_SECONDS: '1',
    },
  });
  afterAll(async () => {
    await gateway.stop(0);
    await Promise.all([issuer.close(), pod.close()]);
  });
  beforeEach(() => {
    pod.seen.length = 0;
    pod.onRequest = undefined;
    pod.onCatalogue = undefined;
  });
  /** The header of a good token, but for what is changed. */
  const bearer = async (claims: object = {}, id = 'acme') => ({
    authorization: `Bearer ${await issuer.token(claims, id)}`,
  });
  const goodList = async (claims: object = {}) => ({
    headers: { ...MODERN_LIST, ...(await bearer(claims)) },
    body: LIST,
  });
  return {
    issuer,
    pod,
    gateway,
    bearer,
    /** Lists the tools, as 2026-07-28 does. */
    list: async () => send(gateway.port, await goodList()),
    /** The same, up to the answer's headers. */
    openList: async (claims: object = {}) => open(gateway.port, await goodList(claims)),
    /** The one call that the pod was sent. */
    only(): Seen {
      expect(pod.seen).toHaveLength(1);
      return pod.seen[0] as Seen;
    },
  };
}
