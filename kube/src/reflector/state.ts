import { type KubeObject, keyOf } from '../objects.ts';

/**
 * Where a reflector stands. `step` is the only way from one state to the next:
 *
 * | state     | what the driver does    | input → next state                                                                  |
 * |-----------|-------------------------|-------------------------------------------------------------------------------------|
 * | empty     | opens a streaming list  | opened → streaming; refused as unknown (400, 422) → paging; failed → empty, pause    |
 * | streaming | reads                   | object → staged; end bookmark → swap, watching; ended or failed → empty, pause       |
 * | paging    | gets a page             | page → staged, paging; last page → swap, listed; failed → paging from the start, pause |
 * | listed    | opens a watch           | opened → watching; 410 → restart; failed → listed, pause                             |
 * | watching  | reads                   | object → change; bookmark → version; 410 → restart; ended or failed → listed, pause  |
 *
 * restart = empty, or paging where the server knows no streaming lists. Objects of a new list are staged beside the store
 * and take its place in one go, so that nothing is ever seen half listed.
 */
export type State<T> =
  | { kind: 'empty' }
  | { kind: 'streaming'; staged: Map<string, T> }
  | { kind: 'paging'; continueToken: string | undefined; staged: Map<string, T> }
  | { kind: 'listed'; resourceVersion: string; strategy: Strategy }
  | { kind: 'watching'; resourceVersion: string; strategy: Strategy };

/** How a list is had: as the beginning of a watch (Kubernetes 1.32 and later), or by pages. */
export type Strategy = 'stream' | 'pages';

export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }
  | { type: 'BOOKMARK'; object: KubeObject };

export type Input<T> =
  | { kind: 'opened' }
  | { kind: 'event'; event: WatchEvent<T> }
  | { kind: 'page'; items: T[]; resourceVersion: string; continueToken: string | undefined }
  /** The server ended the answer in good order, as it does after `timeoutSeconds`. */
  | { kind: 'ended' }
  /** Refused, broken, silent for too long, or an `ERROR` event; `status` is 0 without an HTTP status. */
  | { kind: 'failed'; status: number };

/** What becomes of the store. */
export type Change<T> =
  | { kind: 'none' }
  | { kind: 'swap'; objects: Map<string, T> }
  | { kind: 'put'; object: T }
  | { kind: 'remove'; object: T };

export interface Step<T> {
  state: State<T>;
  change: Change<T>;
  /** Wait with backoff before the next action. */
  pause: boolean;
}

/** The annotation of the bookmark that ends the initial events (KEP-3157). */
const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';

export function initialState<T>(strategy: Strategy = 'stream'): State<T> {
  return strategy === 'stream' ? { kind: 'empty' } : { kind: 'paging', continueToken: undefined, staged: new Map() };
}

/** The one transition; see the table above `State`. Staged maps are filled in place: they belong to the state. */
export function step<T extends KubeObject>(state: State<T>, input: Input<T>): Step<T> {
  switch (state.kind) {
    case 'empty':
      if (input.kind === 'opened') return go({ kind: 'streaming', staged: new Map() });
      if (input.kind === 'failed' && (input.status === 400 || input.status === 422)) return go(initialState('pages'));
      return wait(state);
    case 'streaming':
      return input.kind === 'event' ? stage(state, input.event) : wait(initialState());
    case 'paging':
      return input.kind === 'page' ? page(state, input) : wait(initialState('pages'));
    case 'listed':
      if (input.kind === 'opened') return go({ ...state, kind: 'watching' });
      return isGone(input) ? wait(initialState(state.strategy)) : wait(state);
    case 'watching':
      if (input.kind === 'event') return follow(state, input.event);
      return isGone(input) ? go(initialState(state.strategy)) : wait({ ...state, kind: 'listed' });
  }
}

function stage<T extends KubeObject>(state: State<T> & { kind: 'streaming' }, event: WatchEvent<T>): Step<T> {
  if (event.type === 'BOOKMARK') {
    if (event.object.metadata.annotations?.[INITIAL_EVENTS_END] !== 'true') return go(state);
    const resourceVersion = event.object.metadata.resourceVersion ?? '';
    return {
      state: { kind: 'watching', resourceVersion, strategy: 'stream' },
      change: { kind: 'swap', objects: state.staged },
      pause: false,
    };
  }
  if (event.type === 'DELETED') state.staged.delete(keyOf(event.object));
  else state.staged.set(keyOf(event.object), event.object);
  return go(state);
}

function page<T extends KubeObject>(state: State<T> & { kind: 'paging' }, input: Input<T> & { kind: 'page' }): Step<T> {
  for (const item of input.items) state.staged.set(keyOf(item), item);
  if (input.continueToken !== undefined) return go({ ...state, continueToken: input.continueToken });
  return {
    state: { kind: 'listed', resourceVersion: input.resourceVersion, strategy: 'pages' },
    change: { kind: 'swap', objects: state.staged },
    pause: false,
  };
}

function follow<T extends KubeObject>(state: State<T> & { kind: 'watching' }, event: WatchEvent<T>): Step<T> {
  const next = { ...state, resourceVersion: event.object.metadata.resourceVersion ?? state.resourceVersion };
  if (event.type === 'BOOKMARK') return go(next);
  const kind = event.type === 'DELETED' ? 'remove' : 'put';
  return { state: next, change: { kind, object: event.object }, pause: false };
}

function isGone<T>(input: Input<T>): boolean {
  return input.kind === 'failed' && input.status === 410;
}

function go<T>(state: State<T>): Step<T> {
  return { state, change: { kind: 'none' }, pause: false };
}

function wait<T>(state: State<T>): Step<T> {
  return { state, change: { kind: 'none' }, pause: true };
}
