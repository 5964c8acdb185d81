import { setTimeout as delay } from 'node:timers/promises';
import type { Bank } from '@bankhouse/core';
import { LEASE_SECONDS, type Transport } from '@bankhouse/kube';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ApiServer, startApiServer } from '../../harness/apiserver.ts';
import { startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { Cluster, eventually, HELD, OperatorProcess, pathsOf } from './support/index.ts';

const LEASE = '/apis/coordination.k8s.io/v1/namespaces/bankhouse-system/leases/bankhouse-operator';
const LEASE_MS = LEASE_SECONDS * 1000;
/** Who waits looks every 2.4 s at most, so that it is a little late; the rest is for a machine that has much to do. */
const TAKEOVER_LIMIT_MS = 2 * LEASE_MS;

let api!: ApiServer;
let postgres!: TestPostgres;
let first!: OperatorProcess;
let second!: OperatorProcess;

class OneCluster extends Cluster {
  get transport(): Transport {
    return api.transport;
  }
}
const cluster = new OneCluster();
const { banks } = pathsOf('banks');

beforeAll(async () => {
  [api, postgres] = await Promise.all([startApiServer(), startPostgres()]);
  await cluster.createNamespace('bankhouse-system');
  await cluster.createNamespace('banks');
  await cluster.createClass('standard', {}, { isDefault: true });
});
afterAll(async () => {
  await api?.stop();
  await postgres?.stop();
});

/** One that leads, and one that waits for its turn. */
beforeEach(async () => {
  first = await OperatorProcess.start(api, { name: 'first', databaseUrl: postgres.serviceUrl('operator') });
  await eventually(() => expect(first.renewals).not.toEqual([]));
  second = await OperatorProcess.start(api, { name: 'second', databaseUrl: postgres.serviceUrl('operator') });
  await eventually(() =>
    expect(second.ofLease).toContainEqual(expect.objectContaining({ method: 'GET', status: 200 })),
  );
});
afterEach(async () => {
  await first?.stop();
  await second?.stop();
  await cluster.delete(LEASE);
});

/** The bank is made, in cluster and database, as its spec now says. */
async function finished(name: string, limitMs: number): Promise<void> {
  await eventually(async () => {
    const { metadata, spec, status } = await cluster.get<Bank>(`${banks}/${name}`);
    // Further than that no bank gets without a kubelet.
    expect(status).toMatchObject({ observedGeneration: metadata.generation, phase: 'Starting' });
    const conditions = status?.conditions?.filter(({ type }) => ['DatabaseReady', 'ServerReady'].includes(type));
    expect(conditions).toMatchObject([{ status: 'True' }, { reason: 'PodStarts' }]);
    expect(await displayName(name)).toBe(spec.displayName ?? name);
  }, limitMs);
}

async function displayName(bank: string): Promise<string | undefined> {
  return withClient(postgres.superuserUrl, async (client) => {
    const { rows } = await client.query<{ name: string }>('select display_name as name from bank.banks where id = $1', [
      bank,
    ]);
    return rows[0]?.name;
  });
}

function expectEndedByLoss(operator: OperatorProcess): void {
  expect(operator.log).toContainEqual(expect.stringContaining('"msg":"lease lost"'));
}

/** The second leads, and nothing of the first came by since it could. */
function expectNoTwoWrote(): void {
  const takenOver = second.renewals[0]?.at ?? 0;
  expect(takenOver).toBeGreaterThan(0);
  expect(first.writes.filter(({ at }) => at > takenOver)).toEqual([]);
  expect(second.writes.filter(({ at }) => at < takenOver)).toEqual([]);
}

/** When another could take the lease over, had it seen the last renewal at once. */
const endOfLease = () => (first.renewals.at(-1)?.at ?? 0) + LEASE_MS;

describe('a leader', () => {
  test('that is cut off from the API server ends before its lease does, and the next one finishes what it left half made', async () => {
    first.api.before = ({ method, path }) =>
      method !== 'GET' && path.includes('/deployments/') ? HELD : Promise.resolve();
    await cluster.createBank('banks', 'half');
    await eventually(() =>
      expect(first.writes.map(({ path }) => path)).toContainEqual(expect.stringContaining('/deployments/')),
    );
    first.api.cut();
    expect(await first.exited).toBe(1);
    expectEndedByLoss(first);
    expect(first.exitedAt).toBeLessThan(endOfLease());
    await finished('half', TAKEOVER_LIMIT_MS);
    expectNoTwoWrote();
  });

  test('whose renewals are answered too late, or never, stops writing before its lease ends, though all else succeeds', async () => {
    const renewals = () => first.api.requests.filter(({ method, path }) => method === 'PUT' && path === LEASE);
    await cluster.createBank('banks', 'busy');
    await finished('busy', TAKEOVER_LIMIT_MS);
    first.api.before = async ({ method, path }) => {
      if (path !== LEASE) return;
      if (method === 'PUT') await HELD;
      const gaveUp = renewals().some(({ status, endedAt }) => status === undefined && endedAt !== undefined);
      if (gaveUp) await delay(4_500);
    };
    const before = first.writes.length;
    for (let round = 1; first.exitedAt === undefined; round += 1) {
      const seen = first.writes.length;
      await cluster.patch(`${banks}/busy`, { spec: { displayName: `Busy ${round}` } });
      await eventually(() => expect(first.exitedAt !== undefined || first.writes.length > seen).toBe(true));
    }
    expect(await first.exited).toBe(1);
    expectEndedByLoss(first);
    expect(first.writes.length).toBeGreaterThan(before);
    expect(first.writes.at(-1)?.at).toBeLessThan(endOfLease());
    expect(first.exitedAt).toBeLessThan(endOfLease());
    await finished('busy', TAKEOVER_LIMIT_MS);
    expectNoTwoWrote();
  });

  test('whose lease somebody else has taken ends and lets it be, and the next one waits until that one is gone', async () => {
    await cluster.patch(LEASE, { spec: { holderIdentity: 'somebody-else' } });
    expect(await first.exited).toBe(1);
    expectEndedByLoss(first);
    expect(await cluster.get(LEASE)).toMatchObject({ spec: { holderIdentity: 'somebody-else' } });
    await cluster.createBank('banks', 'between');
    await finished('between', TAKEOVER_LIMIT_MS);
    expectNoTwoWrote();
  });

  test('that stood still until another had taken over writes nothing when it goes on', async () => {
    first.signal('SIGSTOP');
    await cluster.createBank('banks', 'meanwhile');
    await finished('meanwhile', TAKEOVER_LIMIT_MS);
    const before = first.writes.length;
    first.signal('SIGCONT');
    expect(await first.exited).toBe(1);
    expectEndedByLoss(first);
    expect(first.writes.slice(before)).toEqual([]);
    expectNoTwoWrote();
  });

  test('that is told to stop writes nothing after it gave its lease back, which the next one takes at once', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `left-${index}`);
    await Promise.all(names.map((name) => cluster.createBank('banks', name)));
    first.signal('SIGTERM');
    expect(await first.exited).toBe(0);
    await cluster.createBank('banks', 'new');
    for (const name of [...names, 'new']) await finished(name, LEASE_MS);
    expect(second.renewals[0]?.at).toBeLessThan(endOfLease());
    expect(first.writes.filter(({ at }) => at > (first.renewals.at(-1)?.at ?? 0))).toEqual([]);
    expectNoTwoWrote();
  });
});
