import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../src/objects.ts';
import type { Change } from '../src/reflector/state.ts';
import { Store } from '../src/reflector/store.ts';

const object = (uid: string, resourceVersion: string): KubeObject => ({
  metadata: { name: 'a', uid, resourceVersion },
});
const put = (o: KubeObject): Change<KubeObject> => ({ kind: 'put', object: o });
const swap = (...objects: KubeObject[]): Change<KubeObject> => ({
  kind: 'swap',
  objects: new Map(objects.map((o) => [o.metadata.name, o])),
});

describe('what a store tells of a change', () => {
  const rows: { sentence: string; before: KubeObject[]; change: Change<KubeObject>; told: string[]; size: number }[] = [
    { sentence: 'a new object is added', before: [], change: put(object('1', '1')), told: ['added false'], size: 1 },
    {
      sentence: 'another version is a modification',
      before: [object('1', '1')],
      change: put(object('1', '2')),
      told: ['modified false'],
      size: 1,
    },
    {
      sentence: 'the same version is no news',
      before: [object('1', '1')],
      change: put(object('1', '1')),
      told: [],
      size: 1,
    },
    {
      sentence: 'another uid is another object',
      before: [object('1', '1')],
      change: put(object('2', '3')),
      told: ['recreated false'],
      size: 1,
    },
    {
      sentence: 'a deletion takes the object away',
      before: [object('1', '1')],
      change: { kind: 'remove', object: object('1', '2') },
      told: ['deleted false'],
      size: 0,
    },
    {
      sentence: 'a late deletion leaves its successor alone',
      before: [object('2', '3')],
      change: { kind: 'remove', object: object('1', '2') },
      told: [],
      size: 1,
    },
    {
      sentence: 'a list that lacks an object deletes it',
      before: [object('1', '1')],
      change: swap(),
      told: ['deleted true'],
      size: 0,
    },
    {
      sentence: 'a list with nothing new is silent',
      before: [object('1', '1')],
      change: swap(object('1', '1')),
      told: [],
      size: 1,
    },
    {
      sentence: 'a list finds what was changed and recreated meanwhile',
      before: [object('1', '1')],
      change: swap(object('2', '9')),
      told: ['recreated true'],
      size: 1,
    },
  ];
  test.each(rows)('$sentence', ({ before, change, told, size }) => {
    const store = new Store<KubeObject>();
    store.apply(swap(...before), () => {});
    const heard: string[] = [];
    store.apply(change, (_, notice) => heard.push(`${notice.kind} ${notice.listed}`));
    expect(heard).toEqual(told);
    expect(store.size).toBe(size);
  });
});
