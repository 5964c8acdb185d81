import { createLogger } from '@bankhouse/core';
import {
  type Clock,
  createReflector,
  createTransport,
  type KubeObject,
  type Notice,
  type Reflector,
  type ReflectorMetrics,
  systemClock,
  type Transport,
} from '@bankhouse/kube';
import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type ApiServer, startApiServer } from '../../harness/apiserver.ts';
import { eventually, Wire } from './support/index.ts';

const logger = createLogger({ component: 'test', level: 'fatal' });
/** Pauses after failures are a random share of up to 30 s, which can be more than a test waits: always a small one here. */
const clock: Clock = { ...systemClock, random: () => 0.02 };
const collection = (namespace: string) => `/api/v1/namespaces/${namespace}/configmaps`;

let api!: ApiServer;
beforeAll(async () => {
  api = await startApiServer({ crds: false });
});
afterAll(async () => {
  await api?.stop();
});

const running: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of running.splice(0).reverse()) await thing.stop();
});

async function wired(): Promise<{ wire: Wire; transport: Transport }> {
  const wire = await Wire.to(Number(new URL(api.url).port));
  running.push(wire);
  const kubeconfig = new KubeConfig();
  const cluster = api.kubeconfig.getCurrentCluster();
  const user = api.kubeconfig.getCurrentUser();
  if (cluster === null || user === null) throw new Error('no kubeconfig');
  kubeconfig.loadFromClusterAndUser({ ...cluster, server: `https://127.0.0.1:${wire.port}` }, user);
  const transport = await createTransport(kubeconfig);
  running.push({ stop: () => transport.close() });
  return { wire, transport };
}

interface Watched {
  reflector: Reflector<KubeObject>;
  heard: string[];
  counts: { relists: number; reconnects: number };
}

async function watch(
  transport: Transport,
  namespace: string,
  options: { metadataOnly?: boolean } = {},
): Promise<Watched> {
  const heard: string[] = [];
  const counts = { relists: 0, reconnects: 0 };
  const metrics: ReflectorMetrics = {
    heard: () => {},
    relisted: () => {
      counts.relists += 1;
    },
    reconnected: () => {
      counts.reconnects += 1;
    },
    poisoned: () => {},
  };
  const reflector = createReflector<KubeObject>({
    transport,
    path: collection(namespace),
    logger,
    clock,
    metrics,
    ...options,
    onChange: (key: string, notice: Notice<KubeObject>) => heard.push(`${notice.kind} ${key}`),
  });
  running.push(reflector);
  reflector.start();
  await reflector.synced;
  return { reflector, heard, counts };
}

async function namespace(name: string): Promise<void> {
  await api.transport.request('POST', '/api/v1/namespaces', { body: { metadata: { name } } });
}

const create = (place: string, name: string) =>
  api.transport.request<KubeObject>('POST', collection(place), { body: { metadata: { name }, data: { a: 'b' } } });
const remove = (place: string, name: string) => api.transport.request('DELETE', `${collection(place)}/${name}`);

describe('a reflector', () => {
  test('has what is there, then what comes and goes', async () => {
    await namespace('follow');
    await create('follow', 'old');
    const { reflector, heard } = await watch(api.transport, 'follow');
    expect(reflector.list().map((object) => object.metadata.name)).toEqual(['old']);
    await create('follow', 'new');
    await remove('follow', 'old');
    await eventually(() => expect(heard).toEqual(['added follow/old', 'added follow/new', 'deleted follow/old']));
    expect(reflector.get('follow/old')).toBeUndefined();
    expect(reflector.get('follow/new')?.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(reflector.get('follow/new')?.metadata.managedFields).toBeUndefined();
  });

  test('asks for metadata alone where that is enough', async () => {
    await namespace('metadata');
    await create('metadata', 'a');
    const { reflector } = await watch(api.transport, 'metadata', { metadataOnly: true });
    expect(Object.keys(reflector.list()[0] ?? {}).sort()).toEqual(['apiVersion', 'kind', 'metadata']);
    await create('metadata', 'b');
    await eventually(() => expect(reflector.get('metadata/b')).not.toHaveProperty('data'));
  });

  test('takes a cut watch up again where it broke, with nothing heard twice', async () => {
    await namespace('cut');
    const { wire, transport } = await wired();
    const { reflector, heard, counts } = await watch(transport, 'cut');
    await create('cut', 'before');
    await eventually(() => expect(reflector.get('cut/before')).toBeDefined());
    wire.cut();
    await create('cut', 'during');
    await remove('cut', 'before');
    wire.mend();
    await eventually(() => expect(heard).toEqual(['added cut/before', 'added cut/during', 'deleted cut/before']));
    expect(counts).toEqual({ relists: 1, reconnects: 1 });
  });

  test('sees an object of the same name made anew while it was away as another one', async () => {
    await namespace('anew');
    const { wire, transport } = await wired();
    await create('anew', 'a');
    const { heard } = await watch(transport, 'anew');
    wire.cut();
    await remove('anew', 'a');
    await create('anew', 'a');
    await create('anew', 'b');
    await api.restart();
    wire.mend();
    await eventually(() => expect(heard).toEqual(['added anew/a', 'recreated anew/a', 'added anew/b']));
  });

  test('survives a restart of the API server', async () => {
    await namespace('restart');
    const { reflector } = await watch(api.transport, 'restart');
    await api.restart();
    await create('restart', 'after');
    await eventually(() => expect(reflector.get('restart/after')).toBeDefined());
  });

  test('lists anew when the API server has forgotten its version (410)', async () => {
    await namespace('forgotten');
    const { wire, transport } = await wired();
    const { reflector, heard, counts } = await watch(transport, 'forgotten');
    await create('forgotten', 'gone');
    await eventually(() => expect(reflector.get('forgotten/gone')).toBeDefined());
    wire.cut();
    await remove('forgotten', 'gone');
    await create('forgotten', 'new');
    await api.compact();
    await api.restart();
    wire.mend();
    await eventually(() =>
      expect(heard).toEqual(['added forgotten/gone', 'added forgotten/new', 'deleted forgotten/gone']),
    );
    expect(counts.relists).toBe(2);
  });

  test('gets pages of 500 from a server that knows no streaming lists', async () => {
    await namespace('pages');
    const names = Array.from({ length: 501 }, (_, index) => `item-${index}`);
    for (let from = 0; from < names.length; from += 50) {
      await Promise.all(names.slice(from, from + 50).map((name) => create('pages', name)));
    }
    let pages = 0;
    const old: Transport = {
      ...api.transport,
      request: (method, path, options) => {
        pages += 1;
        return api.transport.request(method, path, options);
      },
      stream: async (path, options) => {
        // A match rule that there is not: refused with 422, as by a server whose WatchList feature is off.
        const refused = options.query?.sendInitialEvents === true ? { resourceVersionMatch: 'Exact' } : {};
        return api.transport.stream(path, { ...options, query: { ...options.query, ...refused } });
      },
    };
    const { reflector } = await watch(old, 'pages');
    expect(reflector.size).toBe(501);
    expect(pages).toBe(2);
    await create('pages', 'last');
    await eventually(() => expect(reflector.size).toBe(502));
  });
});
