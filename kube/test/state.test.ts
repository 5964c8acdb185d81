import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../src/objects.ts';
import { type Input, initialState, type State, step } from '../src/reflector/state.ts';

type Kind = State<KubeObject>['kind'];

const object = (name: string, resourceVersion = '5'): KubeObject => ({
  metadata: { namespace: 'n', name, uid: `uid-${name}`, resourceVersion },
});
const bookmark = (resourceVersion: string, end = false): Input<KubeObject> => ({
  kind: 'event',
  event: {
    type: 'BOOKMARK',
    object: {
      metadata: { name: '', resourceVersion, ...(end ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}) },
    },
  },
});
const event = (type: 'ADDED' | 'MODIFIED' | 'DELETED', name: string, version?: string): Input<KubeObject> => ({
  kind: 'event',
  event: { type, object: object(name, version) },
});
const failed = (status: number): Input<KubeObject> => ({ kind: 'failed', status });
const ended: Input<KubeObject> = { kind: 'ended' };
const opened: Input<KubeObject> = { kind: 'opened' };

const states: Record<Kind, () => State<KubeObject>> = {
  empty: () => ({ kind: 'empty' }),
  streaming: () => ({ kind: 'streaming', staged: new Map([['n/a', object('a')]]) }),
  paging: () => ({ kind: 'paging', continueToken: 'more', staged: new Map([['n/a', object('a')]]) }),
  listed: () => ({ kind: 'listed', resourceVersion: '5', strategy: 'stream' }),
  watching: () => ({ kind: 'watching', resourceVersion: '5', strategy: 'stream' }),
};

describe('the step function of a reflector', () => {
  const rows: {
    sentence: string;
    from: Kind;
    input: Input<KubeObject>;
    to: Partial<State<KubeObject>>;
    change?: string;
    pause?: boolean;
  }[] = [
    { sentence: 'an opened streaming list is read', from: 'empty', input: opened, to: { kind: 'streaming' } },
    {
      sentence: 'a server that is away is asked again',
      from: 'empty',
      input: failed(0),
      to: { kind: 'empty' },
      pause: true,
    },
    {
      sentence: 'a server that refuses streaming lists is asked for pages',
      from: 'empty',
      input: failed(422),
      to: { kind: 'paging', continueToken: undefined },
    },
    {
      sentence: 'a forbidden list is asked for again',
      from: 'empty',
      input: failed(403),
      to: { kind: 'empty' },
      pause: true,
    },
    {
      sentence: 'initial objects are staged, not stored',
      from: 'streaming',
      input: event('ADDED', 'b'),
      to: { kind: 'streaming' },
    },
    {
      sentence: 'a bookmark amid the list ends nothing',
      from: 'streaming',
      input: bookmark('9'),
      to: { kind: 'streaming' },
    },
    {
      sentence: 'the bookmark at the end of the list swaps it in',
      from: 'streaming',
      input: bookmark('9', true),
      to: { kind: 'watching', resourceVersion: '9', strategy: 'stream' },
      change: 'swap',
    },
    {
      sentence: 'a list cut short is thrown away',
      from: 'streaming',
      input: ended,
      to: { kind: 'empty' },
      pause: true,
    },
    {
      sentence: 'a list that fails is thrown away',
      from: 'streaming',
      input: failed(410),
      to: { kind: 'empty' },
      pause: true,
    },
    {
      sentence: 'a page with more to come stays beside the store',
      from: 'paging',
      input: { kind: 'page', items: [object('b')], resourceVersion: '7', continueToken: 'next' },
      to: { kind: 'paging', continueToken: 'next' },
    },
    {
      sentence: 'the last page swaps the list in',
      from: 'paging',
      input: { kind: 'page', items: [object('b')], resourceVersion: '7', continueToken: undefined },
      to: { kind: 'listed', resourceVersion: '7', strategy: 'pages' },
      change: 'swap',
    },
    {
      sentence: 'pages whose token is too old begin anew',
      from: 'paging',
      input: failed(410),
      to: { kind: 'paging', continueToken: undefined },
      pause: true,
    },
    {
      sentence: 'a watch opens at the version that was listed',
      from: 'listed',
      input: opened,
      to: { kind: 'watching', resourceVersion: '5' },
    },
    {
      sentence: 'a watch that does not open is tried again there',
      from: 'listed',
      input: failed(0),
      to: { kind: 'listed', resourceVersion: '5' },
      pause: true,
    },
    {
      sentence: 'a version that the server forgot means a new list',
      from: 'listed',
      input: failed(410),
      to: { kind: 'empty' },
      pause: true,
    },
    {
      sentence: 'an object moves the version on',
      from: 'watching',
      input: event('MODIFIED', 'a', '8'),
      to: { kind: 'watching', resourceVersion: '8' },
      change: 'put',
    },
    {
      sentence: 'a deletion moves the version on',
      from: 'watching',
      input: event('DELETED', 'a', '8'),
      to: { kind: 'watching', resourceVersion: '8' },
      change: 'remove',
    },
    {
      sentence: 'a bookmark moves the version on',
      from: 'watching',
      input: bookmark('20'),
      to: { kind: 'watching', resourceVersion: '20' },
    },
    {
      sentence: 'a watch that the server ends is taken up again',
      from: 'watching',
      input: ended,
      to: { kind: 'listed', resourceVersion: '5' },
      pause: true,
    },
    {
      sentence: 'a watch that breaks is taken up again',
      from: 'watching',
      input: failed(0),
      to: { kind: 'listed', resourceVersion: '5' },
      pause: true,
    },
    {
      sentence: 'Gone amid a watch means a new list at once',
      from: 'watching',
      input: failed(410),
      to: { kind: 'empty' },
    },
  ];
  test.each(rows)('$sentence', ({ from, input, to, change = 'none', pause = false }) => {
    const taken = step(states[from](), input);
    expect(taken.state).toMatchObject(to);
    expect(taken.change.kind).toBe(change);
    expect(taken.pause).toBe(pause);
  });

  test('a swap has what was staged, without what was deleted while it came', () => {
    let state: State<KubeObject> = initialState();
    for (const input of [opened, event('ADDED', 'a'), event('ADDED', 'b'), event('DELETED', 'a')]) {
      state = step(state, input).state;
    }
    const { change } = step(state, bookmark('9', true));
    expect(change.kind === 'swap' ? [...change.objects.keys()] : []).toEqual(['n/b']);
  });

  test('a server without streaming lists is asked for pages after Gone too', () => {
    const { state } = step({ kind: 'watching', resourceVersion: '5', strategy: 'pages' }, failed(410));
    expect(state.kind).toBe('paging');
  });
});
