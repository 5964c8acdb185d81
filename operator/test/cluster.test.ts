import type { KubeObject, Notice } from '@bankhouse/kube';
import { describe, expect, test } from 'vitest';
import { FreshCache } from '../src/cluster/fresh-cache.ts';
import { canonical, ownedPart } from '../src/cluster/owned.ts';
import { resourceOf } from '../src/metrics.ts';

const managed = (fieldsV1: object, entry: object = {}) => ({
  manager: 'bankhouse-operator',
  operation: 'Apply',
  fieldsV1,
  ...entry,
});

describe('the part of an object that we own', () => {
  const object = (fieldsV1: object, entry?: object) => ({
    metadata: { labels: { ours: '1', theirs: '2' }, managedFields: [managed(fieldsV1, entry)] },
    spec: {
      replicas: 1,
      containers: [
        { name: 'sidecar', image: 'x' },
        { name: 'server', image: 'y', terminationMessagePath: '/dev/termination-log' },
      ],
      finalizers: ['a', 'b'],
      volume: { emptyDir: {} },
      none: {},
    },
  });
  test.each([
    { sentence: 'single fields', fields: { 'f:spec': { 'f:replicas': {} } }, expected: { spec: { replicas: 1 } } },
    {
      sentence: 'entries of a map',
      fields: { 'f:metadata': { 'f:labels': { 'f:ours': {} } } },
      expected: { metadata: { labels: { ours: '1' } } },
    },
    {
      sentence: 'items of a list by their keys',
      fields: { 'f:spec': { 'f:containers': { 'k:{"name":"server"}': { '.': {}, 'f:name': {}, 'f:image': {} } } } },
      expected: { spec: { containers: [{ name: 'server', image: 'y' }] } },
    },
    {
      sentence: 'members of a set',
      fields: { 'f:spec': { 'f:finalizers': { 'v:"b"': {} } } },
      expected: { spec: { finalizers: ['b'] } },
    },
    {
      sentence: 'whole values',
      fields: { 'f:spec': { 'f:volume': {} } },
      expected: { spec: { volume: { emptyDir: {} } } },
    },
    {
      sentence: 'a map without its entries',
      fields: { 'f:spec': { 'f:none': { '.': {} } } },
      expected: { spec: { none: {} } },
    },
    {
      sentence: 'not what was removed',
      fields: { 'f:spec': { 'f:gone': {}, 'f:replicas': {} } },
      expected: { spec: { replicas: 1 } },
    },
  ])('$sentence', ({ fields, expected }) => {
    expect(ownedPart(object(fields))).toEqual(expected);
  });

  test.each([
    { sentence: "another's", entry: { manager: 'kubectl' } },
    { sentence: 'an update instead of an apply', entry: { operation: 'Update' } },
    { sentence: 'the status', entry: { subresource: 'status' } },
  ])('nothing by $sentence', ({ entry }) => {
    expect(ownedPart(object({ 'f:spec': { 'f:replicas': {} } }, entry))).toEqual({});
  });

  test('values are compared without regard to the order of keys', () => {
    expect(canonical({ b: [{ d: 1, c: undefined }], a: null })).toBe('{"a":null,"b":[{"d":1}]}');
  });
});

describe('a cache that is never older than our own writes', () => {
  const version = (resourceVersion: string, uid = 'u', generation = 1): KubeObject => ({
    metadata: { name: 'a', uid, resourceVersion, generation },
  });
  function setUp() {
    let stored: KubeObject | undefined;
    let now = 0;
    const clock = { now: () => now, random: () => 0, after: () => () => {} };
    const cache = new FreshCache<KubeObject>({ get: () => stored, list: () => [] }, clock);
    return {
      cache,
      wait: (ms: number) => {
        now += ms;
      },
      hear: (kind: Notice<KubeObject>['kind'], object: KubeObject) => {
        const before = stored;
        stored = kind === 'deleted' ? undefined : object;
        return cache.heard('a', { kind, object, before, listed: false });
      },
      read: () => cache.get('a')?.metadata.resourceVersion,
    };
  }

  test('a write counts until the watch has it, and its echo is no news', () => {
    const { cache, hear, read } = setUp();
    hear('added', version('9'));
    cache.wrote(version('10'));
    expect(read()).toBe('10');
    expect(hear('modified', version('10'))).toBe(false);
    expect(read()).toBe('10');
  });

  test('versions are compared as numbers', () => {
    const { cache, hear, read } = setUp();
    cache.wrote(version('10'));
    expect(hear('modified', version('9'))).toBe(false);
    expect(read()).toBe('10');
  });

  test("a change of somebody's that came just before our write is news", () => {
    const { cache, hear } = setUp();
    hear('added', version('9'));
    cache.wrote(version('11', 'u', 2));
    expect(hear('modified', version('10', 'u', 2))).toBe(true);
  });

  test('a later change is news', () => {
    const { cache, hear, read } = setUp();
    cache.wrote(version('10'));
    expect(hear('modified', version('11'))).toBe(true);
    expect(read()).toBe('11');
  });

  test('a deletion ends what we wrote', () => {
    const { cache, hear, read } = setUp();
    cache.wrote(version('10'));
    expect(hear('deleted', version('11'))).toBe(true);
    expect(read()).toBeUndefined();
  });

  test('the deletion of a predecessor does not', () => {
    const { cache, hear, read } = setUp();
    cache.wrote(version('10', 'new'));
    hear('deleted', version('9', 'old'));
    expect(read()).toBe('10');
  });

  test('a deletion that we hear of before its request is answered is one all the same', () => {
    const { cache, hear, read } = setUp();
    hear('added', version('9'));
    hear('deleted', version('11'));
    const { metadata } = version('10');
    cache.wrote({ metadata: { ...metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } });
    expect(read()).toBeUndefined();
  });

  test('what we deleted is gone before the watch says so, and another one of its name is not', () => {
    const { cache, hear, read } = setUp();
    hear('added', version('9'));
    cache.removed(version('9'));
    expect(read()).toBeUndefined();
    expect(hear('deleted', version('10'))).toBe(true);
    hear('added', version('11', 'new'));
    expect(read()).toBe('11');
  });

  test('a deletion that the watch never confirms is forgotten', () => {
    const { cache, hear, wait, read } = setUp();
    hear('added', version('9'));
    cache.removed(version('9'));
    wait(10_001);
    expect(read()).toBe('9');
  });

  test('a write that the watch never confirms is forgotten', () => {
    const { cache, wait, read } = setUp();
    cache.wrote(version('10'));
    wait(10_001);
    expect(read()).toBeUndefined();
  });
});

describe('resources by path, for metrics', () => {
  test.each([
    ['/api/v1/namespaces/x/secrets/y', 'secrets'],
    ['/apis/bankhouse.dev/v1alpha1/namespaces/x/banks/y/status', 'banks/status'],
    ['/apis/bankhouse.dev/v1alpha1/bankclasses/x/status', 'bankclasses/status'],
    ['/apis/events.k8s.io/v1/namespaces/x/events', 'events'],
    ['/api/v1/namespaces', 'namespaces'],
  ])('%s is %s', (path, resource) => {
    expect(resourceOf(path)).toBe(resource);
  });
});
