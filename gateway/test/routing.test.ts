import { describe, expect, it } from 'vitest';
import { BankTable } from '../src/routing/table.ts';
import { Upstreams } from '../src/upstream/upstreams.ts';
import { bank, slice } from './support.ts';

const addresses = (table: BankTable, id = 'acme') => table.lookup(id)?.endpoints.map(({ address }) => address);

describe('the routing table', () => {
  it('knows an accepted bank and the addresses of its own namespace', () => {
    const table = new BankTable();
    table.setSlice('banks/acme', slice('acme', [8080]));
    expect(table.lookup('acme')).toBeUndefined();
    table.setBank('banks/acme', bank('acme'));
    expect(addresses(table)).toEqual(['127.0.0.1:8080']);
    expect(table.lookup('acme')).toMatchObject({ isSuspended: false, keyGeneration: 1 });
  });

  it.each<[string, (table: BankTable) => void]>([
    [
      'a slice in another namespace',
      (table) => table.setSlice('evil/acme', slice('acme', [666], { namespace: 'evil' })),
    ],
    [
      "a slice of another Service in the bank's namespace",
      (table) => {
        const forged = slice('acme', [666]);
        const labels = { ...forged.metadata.labels, 'kubernetes.io/service-name': 'mine' };
        table.setSlice('banks/forged', { ...forged, metadata: { ...forged.metadata, labels } });
      },
    ],
    [
      'names instead of addresses',
      (table) => table.setSlice('banks/f', { ...slice('acme', [666]), addressType: 'FQDN' }),
    ],
    [
      'a Bank of the same id that was not accepted',
      (table) => table.setBank('evil/acme', bank('acme', { namespace: 'evil', accepted: false })),
    ],
  ])('is not moved by %s', (_name, forge) => {
    const table = new BankTable();
    table.setBank('banks/acme', bank('acme'));
    table.setSlice('banks/acme', slice('acme', [8080]));
    forge(table);
    expect(addresses(table)).toEqual(['127.0.0.1:8080']);
  });

  it.each<[string, (table: BankTable) => void]>([
    ['not accepted', (table) => table.setBank('banks/acme', bank('acme', { accepted: false }))],
    [
      'being deleted',
      (table) => {
        const { metadata, ...rest } = bank('acme');
        table.setBank('banks/acme', { ...rest, metadata: { ...metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } });
      },
    ],
    ['gone', (table) => table.setBank('banks/acme', undefined)],
    ['accepted twice', (table) => table.setBank('other/acme', bank('acme', { namespace: 'other' }))],
  ])('has no bank that is %s', (_name, change) => {
    const table = new BankTable();
    table.setBank('banks/acme', bank('acme'));
    change(table);
    expect(table.lookup('acme')).toBeUndefined();
  });

  it('follows a slice that changes, and one that passes to another bank', () => {
    const table = new BankTable();
    table.setBank('banks/acme', bank('acme'));
    table.setBank('banks/globex', bank('globex'));
    table.setSlice('banks/s', slice('acme', [1]));
    table.setSlice('banks/s', slice('acme', [2]));
    expect(addresses(table)).toEqual(['127.0.0.1:2']);
    table.setSlice('banks/s', slice('globex', [3]));
    expect([addresses(table), addresses(table, 'globex')]).toEqual([[], ['127.0.0.1:3']]);
    table.setSlice('banks/s', undefined);
    expect(addresses(table, 'globex')).toEqual([]);
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
});

describe('the choice of an address', () => {
  const endpoint = (port: number, isServing = true, isTerminating = false) => ({
    address: `127.0.0.1:${port}`,
    isServing,
    isTerminating,
  });
  const route = (...endpoints: ReturnType<typeof endpoint>[]) => ({
    id: 'acme',
    isSuspended: false,
    keyGeneration: 1,
    endpoints,
  });
  const none = new Set<string>();

  it.each([
    ['serving before starting', [endpoint(1, false), endpoint(2)], 2],
    ['starting before terminating', [endpoint(1, true, true), endpoint(2, false)], 2],
    ['terminating when nothing else is there', [endpoint(1, true, true)], 1],
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
