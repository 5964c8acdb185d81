import { type KubeObject, keyOf } from '../objects.ts';
import type { Change } from './state.ts';

/** What happened to one key, for the handler: enough to find whom it concerns, never to act on. */
export interface Notice<T> {
  /** `recreated`: another object (another uid) now has the name. */
  kind: 'added' | 'modified' | 'deleted' | 'recreated';
  /** The object now, or as it last was when `deleted`. */
  object: T;
  /** What it replaced. */
  before: T | undefined;
  /** Part of a list, not news: enqueue with low priority. */
  listed: boolean;
}

/** Objects by key. Knows an object from its successor of the same name by uid, and an echo by its resourceVersion. */
export class Store<T extends KubeObject> {
  private objects = new Map<string, T>();

  get(key: string): T | undefined {
    return this.objects.get(key);
  }

  get size(): number {
    return this.objects.size;
  }

  values(): T[] {
    return [...this.objects.values()];
  }

  /** Applies a change and tells `notify` about every key that is different afterwards. */
  apply(change: Change<T>, notify: (key: string, notice: Notice<T>) => void): void {
    switch (change.kind) {
      case 'none':
        return;
      case 'put': {
        const key = keyOf(change.object);
        const before = this.objects.get(key);
        this.objects.set(key, change.object);
        const notice = compare(before, change.object, false);
        if (notice !== undefined) notify(key, notice);
        return;
      }
      case 'remove': {
        const key = keyOf(change.object);
        const before = this.objects.get(key);
        if (before === undefined || before.metadata.uid !== change.object.metadata.uid) return;
        this.objects.delete(key);
        notify(key, { kind: 'deleted', object: change.object, before, listed: false });
        return;
      }
      case 'swap':
        this.swap(change.objects, notify);
    }
  }

  private swap(objects: Map<string, T>, notify: (key: string, notice: Notice<T>) => void): void {
    const old = this.objects;
    this.objects = objects;
    for (const [key, object] of objects) {
      const notice = compare(old.get(key), object, true);
      if (notice !== undefined) notify(key, notice);
    }
    for (const [key, before] of old) {
      if (!objects.has(key)) notify(key, { kind: 'deleted', object: before, before, listed: true });
    }
  }
}

function compare<T extends KubeObject>(before: T | undefined, object: T, listed: boolean): Notice<T> | undefined {
  if (before === undefined) return { kind: 'added', object, before, listed };
  if (before.metadata.uid !== object.metadata.uid) return { kind: 'recreated', object, before, listed };
  if (before.metadata.resourceVersion === object.metadata.resourceVersion) return undefined;
  return { kind: 'modified', object, before, listed };
}
