import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bankObject, type PodChange, podObject, uidOf } from '../../test/harness/routed.ts';
import { readBank, readPod } from '../src/routing/objects.ts';
import { BankTable } from '../src/routing/table.ts';
import { Upstreams } from '../src/upstream/upstreams.ts';
import { bank, podAt } from './support.ts';

const addresses = (table: BankTable, id = 'acme') => table.lookup(id)?.endpoints.map(({ address }) => address);

/** An object with one thing changed in it, at any depth. */
function altered<T extends object>(object: T, change: (copy: T) => void): T {
  const copy = structuredClone(object);
  change(copy);
  return copy;
}

describe('the routing table', () => {
  it('knows an accepted bank, its incarnation, and the addresses of its own pods at the one port there is', () => {
    const table = new BankTable();
    table.setPod('banks/p', podAt('acme', '10.0.0.1'));
    expect(table.lookup('acme')).toBeUndefined();
    table.setBank('banks/acme', bank('acme'));
    table.setPod('banks/p6', podAt('acme', 'fd00::1'));
    expect(addresses(table)).toEqual(['10.0.0.1:8080', '[fd00::1]:8080']);
    expect(table.lookup('acme')).toMatchObject({ isSuspended: false, keyGeneration: 1, incarnation: uidOf('acme') });
  });

  const good = podObject('acme', '10.6.6.6', { name: 'forged' });
  type Pod = typeof good;
  it.each<[string, (pod: Pod) => void]>([
    ['of another namespace', (pod) => Object.assign(pod.metadata, { namespace: 'evil' })],
    ['of another bank', (pod) => Object.assign(pod.metadata.labels, { 'bankhouse.dev/bank': 'globex' })],
    [
      'that bankhouse does not manage',
      (pod) => Object.assign(pod.metadata.labels, { 'app.kubernetes.io/managed-by': 'x' }),
    ],
    [
      'of another component',
      (pod) => Object.assign(pod.metadata.labels, { 'app.kubernetes.io/component': 'connector' }),
    ],
    ['without labels', (pod) => Object.assign(pod.metadata, { labels: undefined })],
    ['without an owner', (pod) => Object.assign(pod.metadata, { ownerReferences: [] })],
    [
      'whose owner does not control it',
      (pod) => Object.assign(pod.metadata.ownerReferences[0] ?? {}, { controller: false }),
    ],
    [
      'of a Job',
      (pod) => Object.assign(pod.metadata.ownerReferences[0] ?? {}, { kind: 'Job', apiVersion: 'batch/v1' }),
    ],
    [
      "of another API's ReplicaSet",
      (pod) => Object.assign(pod.metadata.ownerReferences[0] ?? {}, { apiVersion: 'x.io/v1' }),
    ],
    [
      'of a ReplicaSet of another name',
      (pod) => Object.assign(pod.metadata.ownerReferences[0] ?? {}, { name: 'mine-7c9d5' }),
    ],
    [
      'of a bank whose id begins as this one',
      (pod) => Object.assign(pod.metadata.ownerReferences[0] ?? {}, { name: 'bank-acme-two-7c9d5' }),
    ],
    ['that is being deleted', (pod) => Object.assign(pod.metadata, { deletionTimestamp: '2026-01-01T00:00:00Z' })],
    ['without an address', (pod) => Object.assign(pod.status, { podIP: '' })],
    ['whose address is a name', (pod) => Object.assign(pod.status, { podIP: 'evil.example.com' })],
    ['whose address has a port', (pod) => Object.assign(pod.status, { podIP: '10.6.6.6:80' })],
    ['that was evicted and keeps its address', (pod) => Object.assign(pod.status, { phase: 'Failed' })],
    ['that was ready and is no more', (pod) => Object.assign(pod, podObject('acme', '10.6.6.6', { state: 'sick' }))],
    [
      'whose server crashed',
      (pod) => {
        Object.assign(pod, podObject('acme', '10.6.6.6', { state: 'starting' }));
        Object.assign(pod.status.containerStatuses[0] ?? {}, { state: { terminated: { exitCode: 1 } } });
      },
    ],
  ])('is not moved by a pod %s', (_name, change) => {
    const table = new BankTable();
    table.setBank('banks/acme', bank('acme'));
    table.setPod('banks/p', podAt('acme', '10.0.0.1'));
    table.setPod('banks/forged', readPod(altered(good, change)));
    expect(addresses(table)).toEqual(['10.0.0.1:8080']);
  });

  it('knows of a pod that starts that it is not ready, also when it starts once more', () => {
    const table = new BankTable();
    table.setBank('banks/acme', bank('acme'));
    table.setPod('banks/p', podAt('acme', '10.0.0.1', { state: 'starting' }));
    expect(table.lookup('acme')?.endpoints).toEqual([{ address: '10.0.0.1:8080', isServing: false, mustProve: false }]);
    table.setPod('banks/p', podAt('acme', '10.0.0.1', { state: 'sick' }));
    expect(addresses(table)).toEqual([]);
    const restarted = altered(podObject('acme', '10.0.0.1', { state: 'sick' }), ({ status }) => {
      Object.assign(status.containerStatuses[0] ?? {}, { state: { running: { startedAt: '2026-01-01T02:00:00Z' } } });
    });
    table.setPod('banks/p', readPod(restarted));
    expect(addresses(table)).toEqual(['10.0.0.1:8080']);
  });

  it.each<[string, (table: BankTable) => void]>([
    ['not accepted', (table) => table.setBank('banks/acme', bank('acme', { accepted: false }))],
    [
      'accepted under another id',
      (table) =>
        table.setBank(
          'banks/acme',
          readBank(altered(bankObject('acme'), ({ status }) => Object.assign(status, { id: 'globex' }))),
        ),
    ],
    [
      'accepted without a word under which id',
      (table) =>
        table.setBank(
          'banks/acme',
          readBank(altered(bankObject('acme'), ({ status }) => Object.assign(status, { id: undefined }))),
        ),
    ],
    [
      'being deleted',
      (table) =>
        table.setBank(
          'banks/acme',
          readBank(
            altered(bankObject('acme'), ({ metadata }) => Object.assign(metadata, { deletionTimestamp: 'now' })),
          ),
        ),
    ],
    ['gone', (table) => table.setBank('banks/acme', undefined)],
    ['accepted twice', (table) => table.setBank('other/acme', bank('acme', { namespace: 'other', uid: 'another' }))],
  ])('has no bank that is %s', (_name, change) => {
    const table = new BankTable();
    table.setBank('banks/acme', bank('acme'));
    change(table);
    expect(table.lookup('acme')).toBeUndefined();
  });

  it('is not moved by a Bank of the same id that was not accepted', () => {
    const table = new BankTable();
    table.setBank('banks/acme', bank('acme'));
    table.setPod('banks/p', podAt('acme', '10.0.0.1'));
    table.setBank('evil/acme', bank('acme', { namespace: 'evil', accepted: false }));
    table.setPod('evil/p', podAt('acme', '10.6.6.6', { namespace: 'evil' }));
    expect(addresses(table)).toEqual(['10.0.0.1:8080']);
  });

  it('gives nothing of one incarnation to the next in another namespace (K1)', () => {
    const table = new BankTable();
    table.setBank('banks/acme', bank('acme'));
    table.setPod('banks/p', podAt('acme', '10.0.0.1'));
    table.setBank('evil/acme', bank('acme', { namespace: 'evil', uid: 'another', accepted: false }));
    table.setBank('banks/acme', undefined);
    table.setBank('evil/acme', bank('acme', { namespace: 'evil', uid: 'another' }));
    expect(table.lookup('acme')).toMatchObject({ incarnation: 'another', endpoints: [] });
  });

  it('follows a pod that changes, and one that passes to another bank', () => {
    const table = new BankTable();
    table.setBank('banks/acme', bank('acme'));
    table.setBank('banks/globex', bank('globex'));
    table.setPod('banks/p', podAt('acme', '10.0.0.1'));
    table.setPod('banks/p', podAt('acme', '10.0.0.2'));
    expect(addresses(table)).toEqual(['10.0.0.2:8080']);
    table.setPod('banks/p', podAt('globex', '10.0.0.3'));
    expect([addresses(table), addresses(table, 'globex')]).toEqual([[], ['10.0.0.3:8080']]);
    table.setPod('banks/p', undefined);
    expect(addresses(table, 'globex')).toEqual([]);
  });

  it('tells of a route only when it is another one', () => {
    const told: string[] = [];
    const table = new BankTable({ onRoute: (id) => told.push(id) });
    table.setBank('banks/acme', bank('acme'));
    for (const state of ['starting', 'starting', 'ready', 'ready'] as const satisfies PodChange['state'][]) {
      table.setPod('banks/p', podAt('acme', '10.0.0.1', { state }));
    }
    table.setBank('banks/acme', bank('acme'));
    expect(told).toHaveLength(3);
  });

  it('wakes who waits for a change, and who gives up', async () => {
    const table = new BankTable();
    const never = new AbortController();
    const changed = table.changed('acme', never.signal);
    table.setBank('banks/acme', bank('acme'));
    await changed;
    const abandoned = table.changed('acme', never.signal);
    never.abort();
    await abandoned;
  });

  it('takes whatever is sent as a Pod or a Bank, and never throws (K2)', () => {
    const table = new BankTable();
    table.setBank('banks/acme', bank('acme'));
    const broken = fc.oneof(
      fc.anything({ withNullPrototype: true }),
      fc.record({ metadata: fc.anything(), spec: fc.anything(), status: fc.anything() }),
      fc.tuple(fc.constantFrom(...pathsOf(good)), fc.anything()).map(([path, value]) => replaced(good, path, value)),
    );
    fc.assert(
      fc.property(broken, (object) => {
        table.setPod('banks/p', readPod(object));
        table.setBank('other/p', readBank(object));
        for (const { address } of table.lookup('acme')?.endpoints ?? [])
          expect(URL.canParse(`http://${address}`)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

/** Every place in an object. */
function pathsOf(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [[key], ...pathsOf(inner).map((path) => [key, ...path])]);
}

function replaced(object: object, path: readonly string[], value: unknown): object {
  const copy: object = structuredClone(object);
  let place = copy as Record<string, unknown>;
  for (const key of path.slice(0, -1)) place = place[key] as Record<string, unknown>;
  place[path.at(-1) ?? ''] = value;
  return copy;
}

describe('the choice of an address', () => {
  const endpoint = (port: number, isServing = true) => ({
    address: `127.0.0.1:${port}`,
    isServing,
    mustProve: false,
  });
  const route = (...endpoints: ReturnType<typeof endpoint>[]) => ({
    id: 'acme',
    namespace: 'banks',
    incarnation: uidOf('acme'),
    isSuspended: false,
    keyGeneration: 1,
    endpoints,
  });
  const none = new Set<string>();

  it.each([
    ['serving before starting', [endpoint(1, false), endpoint(2)], 2],
    ['starting when nothing else is there', [endpoint(1, false)], 1],
  ])('is %s', (_name, endpoints, port) => {
    const upstreams = new Upstreams({ headersTimeout: 1, bodyTimeout: 1 });
    expect(upstreams.pick(route(...endpoints), none)?.address).toBe(`127.0.0.1:${port}`);
  });

  it('is the one with the fewest calls under way', () => {
    const upstreams = new Upstreams({ headersTimeout: 1, bodyTimeout: 1 });
    const two = route(endpoint(1), endpoint(2));
    const picked: string[] = [];
    for (let turn = 0; turn < 4; turn++) {
      const upstream = upstreams.pick(two, none);
      if (upstream === undefined) break;
      upstream.outstanding += 1;
      picked.push(upstream.address);
    }
    expect(picked.sort()).toEqual(['127.0.0.1:1', '127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:2']);
  });

  it('takes turns where as many calls are under way', () => {
    const upstreams = new Upstreams({ headersTimeout: 1, bodyTimeout: 1 });
    const three = route(endpoint(1), endpoint(2), endpoint(3));
    const picked = Array.from({ length: 6 }, () => upstreams.pick(three, none)?.address.slice(-1));
    expect(picked).toEqual(['1', '2', '3', '1', '2', '3']);
  });

  it('leaves out what was tried, and ends with nothing', () => {
    const upstreams = new Upstreams({ headersTimeout: 1, bodyTimeout: 1 });
    expect(upstreams.pick(route(endpoint(1), endpoint(2)), new Set(['127.0.0.1:1']))?.address).toBe('127.0.0.1:2');
    expect(upstreams.pick(route(endpoint(1)), new Set(['127.0.0.1:1']))).toBeUndefined();
  });
});
