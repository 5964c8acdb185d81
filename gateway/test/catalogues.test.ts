/** Which catalogue counts for a bank, when one is asked for, and what that can cost (ADR 37). */
import { BUILT_IN_CATALOGUE, createLogger, type KnownCatalogue, readCatalogue, writeCatalogue } from '@bankhouse/core';
import { beforeEach, describe, expect, it } from 'vitest';
import { Catalogues } from '../src/catalogues/catalogues.ts';
import { CatalogueFetchError, NobodyThereError } from '../src/catalogues/fetch.ts';
import type { BankRoute } from '../src/routing/routing-table.ts';
import type { Upstream } from '../src/upstream/upstreams.ts';

const logger = createLogger({ component: 'test', level: 'silent' });

/** A catalogue of one tool. */
function offering(name: string): KnownCatalogue {
  const tools = [[name, { access: 'write', digest: `sha256:${'0'.repeat(64)}` }]] as const;
  return readCatalogue(Buffer.from(writeCatalogue({ tools, prompts: [], resources: [] }).text));
}

const [a, b, c] = [offering('a'), offering('b'), offering('c')];
const pod = (address = '10.0.0.1') => ({ address, catalogue: undefined }) as unknown as Upstream;
const route = (id: string, incarnation = `uid-${id}`) => ({ id, incarnation }) as BankRoute;
const acme = route('acme');

let clock = 0;
let asked: string[] = [];
let outcomes: string[] = [];
/** What a pod answers. */
let answer: (route: BankRoute, upstream: Upstream) => Promise<KnownCatalogue>;
let current: (route: BankRoute) => boolean;

function start(budget?: number): Catalogues {
  return new Catalogues({
    async fetch(of, upstream) {
      asked.push(of.id);
      return { catalogue: await answer(of, upstream), bytes: 100 };
    },
    isCurrent: (of) => current(of),
    logger,
    onAsked: (outcome) => outcomes.push(outcome),
    now: () => clock,
    ...(budget === undefined ? {} : { budget }),
  });
}

/** A pod says that it has this catalogue, and what follows from that is over. */
async function hear(catalogues: Catalogues, of: BankRoute, from: Upstream, said: KnownCatalogue): Promise<void> {
  catalogues.heard(of, from, said.digest);
  await new Promise((resolve) => setImmediate(resolve));
}

beforeEach(() => {
  clock = 0;
  asked = [];
  outcomes = [];
  answer = async () => a;
  current = () => true;
});

describe('the catalogue of a bank', () => {
  it('is the built-in one until a pod says another, which is asked for once', async () => {
    const catalogues = start();
    expect(catalogues.of('acme')).toBe(BUILT_IN_CATALOGUE);
    const from = pod();
    for (let times = 0; times < 3; times++) await hear(catalogues, acme, from, a);
    expect([catalogues.of('acme'), catalogues.at(from), asked]).toEqual([a, a, ['acme']]);
    expect(outcomes).toEqual(['taken']);
  });

  it('is asked for once, however many answers say so meanwhile', async () => {
    const catalogues = start();
    const { promise, resolve } = Promise.withResolvers<KnownCatalogue>();
    answer = () => promise;
    for (let times = 0; times < 5; times++) await hear(catalogues, acme, pod(`10.0.0.${times}`), a);
    expect([catalogues.of('acme'), asked.length]).toEqual([BUILT_IN_CATALOGUE, 1]);
    const waited = catalogues.ask(acme, pod());
    resolve(a);
    await waited;
    expect([catalogues.of('acme'), asked.length]).toEqual([a, 1]);
  });

  it('is held once for a thousand banks, and asked for once', async () => {
    const catalogues = start();
    for (let at = 0; at < 1000; at++) await hear(catalogues, route(`bank-${at}`), pod(), a);
    expect([catalogues.of('bank-999'), catalogues.size, catalogues.used, asked]).toEqual([a, 1, 300, ['bank-0']]);
  });

  it('is what was known last where a pod gives none', async () => {
    const catalogues = start();
    const from = pod();
    await hear(catalogues, acme, from, a);
    clock = 10_000;
    answer = () => Promise.reject(new CatalogueFetchError('It answered 500.'));
    await hear(catalogues, acme, from, b);
    expect([catalogues.of('acme'), catalogues.at(from), outcomes]).toEqual([a, undefined, ['taken', 'failed']]);
  });

  it('takes turns with that of another pod in a rollout, and nobody is asked again', async () => {
    const catalogues = start();
    const [older, newer] = [pod('10.0.0.1'), pod('10.0.0.2')];
    answer = async (_of, upstream) => (upstream === older ? a : b);
    await hear(catalogues, acme, older, a);
    clock = 10_000;
    await hear(catalogues, acme, newer, b);
    for (let times = 0; times < 100; times++) {
      clock += 1_000_000;
      await hear(catalogues, acme, older, a);
      expect(catalogues.of('acme')).toBe(a);
      await hear(catalogues, acme, newer, b);
      expect(catalogues.of('acme')).toBe(b);
    }
    expect([catalogues.at(older), catalogues.at(newer), asked.length]).toEqual([a, b, 2]);
  });

  it('ends with its incarnation, also where an answer of that one comes late', async () => {
    const catalogues = start();
    const [before, after] = [route('acme', 'uid-1'), route('acme', 'uid-2')];
    await hear(catalogues, before, pod(), a);
    expect([catalogues.setIncarnation('acme', 'uid-1'), catalogues.setIncarnation('acme', 'uid-2')]).toEqual([
      false,
      true,
    ]);
    current = ({ incarnation }) => incarnation === 'uid-2';
    await hear(catalogues, before, pod(), a);
    await hear(catalogues, before, pod(), b);
    expect([catalogues.of('acme'), asked.length]).toEqual([BUILT_IN_CATALOGUE, 1]);
    answer = async () => c;
    await hear(catalogues, after, pod(), c);
    await hear(catalogues, before, pod(), a);
    expect(catalogues.of('acme')).toBe(c);
  });

  it('is not taken from a question whose incarnation ended meanwhile', async () => {
    const catalogues = start();
    const { promise, resolve } = Promise.withResolvers<KnownCatalogue>();
    answer = () => promise;
    const asking = catalogues.ask(acme, pod());
    catalogues.setIncarnation('acme', undefined);
    current = () => false;
    resolve(a);
    await asking;
    expect(catalogues.of('acme')).toBe(BUILT_IN_CATALOGUE);
  });

  it('makes room for others by going for longest unused, and is asked for again', async () => {
    const catalogues = start(600);
    answer = async ({ id }) => ({ 'bank-0': a, 'bank-1': b })[id] ?? c;
    await hear(catalogues, route('bank-0'), pod(), a);
    await hear(catalogues, route('bank-1'), pod(), b);
    expect(catalogues.of('bank-0')).toBe(a);
    await hear(catalogues, route('bank-2'), pod(), c);
    expect([catalogues.of('bank-0'), catalogues.of('bank-1'), catalogues.of('bank-2')]).toEqual([
      a,
      BUILT_IN_CATALOGUE,
      c,
    ]);
    expect([catalogues.size, catalogues.used]).toEqual([2, 600]);
    clock = 10_000;
    await hear(catalogues, route('bank-1'), pod(), b);
    expect([catalogues.of('bank-1'), catalogues.used]).toEqual([b, 600]);
  });

  it('is not asked for by what is no digest', async () => {
    const catalogues = start();
    const from = pod();
    for (const said of ['', 'a', 'a'.repeat(10_000)]) catalogues.heard(acme, from, said);
    expect([asked, from.catalogue]).toEqual([[], undefined]);
  });
});

describe('what asks for a catalogue', () => {
  it('asks ever less often a pod that says another one in each answer', async () => {
    const catalogues = start();
    answer = async () => offering(`of ${asked.length}`);
    const times: number[] = [];
    for (; clock < 600_000; clock += 50) {
      const before = asked.length;
      await hear(catalogues, acme, pod(), offering(`said at ${clock}`));
      if (asked.length > before) times.push(clock);
    }
    const pauses = times.slice(1).map((at, index) => at - (times[index] ?? 0));
    expect(pauses.slice(0, 9)).toEqual([250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000]);
    expect(Math.min(...pauses.slice(8))).toBe(60_000);
  }, 20_000);

  it('asks soon again one that was quiet for long', async () => {
    const catalogues = start();
    for (let times = 0; times < 12; times++) {
      await catalogues.ask(acme, pod());
      clock += 60_000;
    }
    clock += 300_000;
    await catalogues.ask(acme, pod());
    clock += 250;
    const before = asked.length;
    await catalogues.ask(acme, pod());
    expect(asked.length - before).toBe(1);
  });

  it('asks again at once where nobody took the connection, and says nothing of it', async () => {
    const catalogues = start();
    answer = () => Promise.reject(new NobodyThereError('connect ECONNREFUSED'));
    await catalogues.ask(acme, pod());
    answer = async () => a;
    await catalogues.ask(acme, pod());
    expect([catalogues.of('acme'), outcomes]).toEqual([a, ['taken']]);
  });

  it('asks 32 banks at once, and others when there is room', async () => {
    const catalogues = start();
    const { promise, resolve } = Promise.withResolvers<KnownCatalogue>();
    answer = () => promise;
    for (let at = 0; at < 50; at++) await hear(catalogues, route(`bank-${at}`), pod(), a);
    expect(asked).toHaveLength(32);
    resolve(a);
    await new Promise((done) => setImmediate(done));
    await hear(catalogues, route('bank-49'), pod(), a);
    answer = async () => b;
    await hear(catalogues, route('bank-48'), pod(), b);
    expect([catalogues.of('bank-49'), catalogues.of('bank-48'), asked.length]).toEqual([a, b, 33]);
  });
});
