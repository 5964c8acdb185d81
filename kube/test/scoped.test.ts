import { createLogger } from '@bankhouse/core';
import { afterEach, describe, expect, test } from 'vitest';
import { createScopedReflector, type KubeObject, keyOf, type Reflector, type Transport } from '../src/index.ts';

const logger = createLogger({ component: 'test', level: 'fatal' });

/** An API server that lists what is there, and then has nothing new. */
function transportWith(objects: Record<string, KubeObject[]>): { transport: Transport; asked: string[] } {
  const asked: string[] = [];
  const transport = {
    async stream(path: string, { query, signal }: { query: Record<string, unknown>; signal: AbortSignal }) {
      const about = query.fieldSelector === undefined ? path : `${path}?${String(query.fieldSelector)}`;
      asked.push(about);
      const end = { annotations: { 'k8s.io/initial-events-end': 'true' }, resourceVersion: '9' };
      const events = [
        ...(objects[about] ?? []).map((object) => ({ type: 'ADDED', object })),
        { type: 'BOOKMARK', object: { metadata: end } },
      ];
      return (async function* () {
        yield Buffer.from(events.map((event) => `${JSON.stringify(event)}\n`).join(''));
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      })();
    },
  };
  return { transport: transport as unknown as Transport, asked };
}

const object = (namespace: string | undefined, name: string): KubeObject => ({
  metadata: { name, namespace, uid: `${namespace}-${name}`, resourceVersion: '1' },
});

const running: Reflector<KubeObject>[] = [];
afterEach(async () => {
  for (const reflector of running.splice(0)) await reflector.stop();
});

async function follow(path: string, namespaces: string[], objects: Record<string, KubeObject[]>) {
  const { transport, asked } = transportWith(objects);
  const heard: string[] = [];
  const reflector = createScopedReflector({ transport, path, logger, onChange: (key) => heard.push(key) }, namespaces);
  running.push(reflector);
  expect(reflector.isSynced).toBe(false);
  reflector.start();
  await reflector.synced;
  return { reflector, asked, heard };
}

describe('a reflector of some namespaces', () => {
  const BANKS = '/apis/bankhouse.dev/v1alpha1/banks';
  const in_ = (namespace: string) => `/apis/bankhouse.dev/v1alpha1/namespaces/${namespace}/banks`;

  test('asks in each of them, and nowhere else', async () => {
    const { asked } = await follow(BANKS, ['a', 'b'], {});
    expect(asked).toEqual([in_('a'), in_('b')]);
  });

  test('is one collection', async () => {
    const { reflector, heard } = await follow(BANKS, ['a', 'b'], {
      [in_('a')]: [object('a', 'x')],
      [in_('b')]: [object('b', 'x'), object('b', 'y')],
    });
    expect(reflector.isSynced).toBe(true);
    expect(heard.sort()).toEqual(['a/x', 'b/x', 'b/y']);
    expect(reflector.list().map(keyOf).sort()).toEqual(['a/x', 'b/x', 'b/y']);
    expect(reflector.size).toBe(3);
    expect(reflector.get('b/x')?.metadata.uid).toBe('b-x');
    expect(reflector.get('c/x')).toBeUndefined();
  });

  test('asks for everything where none are named', async () => {
    const { asked, reflector } = await follow(BANKS, [], { [BANKS]: [object('c', 'x')] });
    expect(asked).toEqual([BANKS]);
    expect(reflector.get('c/x')).toBeDefined();
  });

  test('asks for namespaces by their names, as a rule with resourceNames allows', async () => {
    const { asked, reflector } = await follow('/api/v1/namespaces', ['a', 'b'], {
      '/api/v1/namespaces?metadata.name=a': [object(undefined, 'a')],
    });
    expect(asked).toEqual(['/api/v1/namespaces?metadata.name=a', '/api/v1/namespaces?metadata.name=b']);
    expect(reflector.get('a')).toBeDefined();
    expect(reflector.get('b')).toBeUndefined();
  });
});
