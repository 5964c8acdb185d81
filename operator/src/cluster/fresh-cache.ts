import type { Clock, KubeObject, Notice, Reflector } from '@bankhouse/kube';
import { keyOf } from '@bankhouse/kube';

/** How long an own write is believed without the watch confirming it; by then the watch has, or it was undone meanwhile. */
const BELIEVED_MS = 10_000;

/**
 * A reflector's store, never older than our own writes: what a write answered counts until the watch has caught up. Without
 * it a pass right after a write would see the state before it, and write again.
 */
export class FreshCache<T extends KubeObject> {
  private readonly reflector: Pick<Reflector<T>, 'get' | 'list'>;
  private readonly clock: Clock;
  private readonly written = new Map<string, { object: T; isGone: boolean; until: number }>();

  constructor(reflector: Pick<Reflector<T>, 'get' | 'list'>, clock: Clock) {
    this.reflector = reflector;
    this.clock = clock;
  }

  get(key: string): T | undefined {
    const stored = this.reflector.get(key);
    const own = this.written.get(key);
    if (own === undefined) return stored;
    if (own.until < this.clock.now() || (!own.isGone && stored !== undefined && !isOlder(stored, own.object))) {
      this.written.delete(key);
      return stored;
    }
    if (!own.isGone) return own.object;
    return stored?.metadata.uid === own.object.metadata.uid ? undefined : stored;
  }

  /** As the reflector has them; single objects by `get` can be newer. */
  list(): T[] {
    return this.reflector.list();
  }

  /** The answer to an own write. Of one that is being deleted the watch may know sooner that it is gone than we have the answer: nothing would tell so again. */
  wrote(object: T): void {
    const { metadata } = object;
    const isKnown = this.reflector.get(keyOf(object))?.metadata.uid === metadata.uid;
    if (metadata.deletionTimestamp !== undefined && !isKnown) return;
    this.written.set(keyOf(object), { object, isGone: false, until: this.clock.now() + BELIEVED_MS });
  }

  /** An own deletion took effect: this very object is not there any more. */
  removed(object: T): void {
    this.written.set(keyOf(object), { object, isGone: true, until: this.clock.now() + BELIEVED_MS });
  }

  /** The reflector's notice of the key, before anybody reads it. `false`: only the echo of an own write. */
  heard(key: string, notice: Notice<T>): boolean {
    const own = this.written.get(key);
    if (own === undefined) return true;
    const { metadata } = notice.object;
    const sameObject = own.object.metadata.uid === metadata.uid;
    if (own.isGone) {
      if (!sameObject || notice.kind === 'deleted') this.written.delete(key);
      return true;
    }
    if (notice.kind === 'deleted' ? sameObject : !isOlder(notice.object, own.object)) this.written.delete(key);
    // Somebody's change may have come just before our write: the answer then has it, but the pass didn't know it yet.
    if (notice.before !== undefined && notice.before.metadata.generation !== metadata.generation) return true;
    // An older version of the same object is on its way to what we wrote, and no news either.
    return notice.kind === 'deleted' || !sameObject || isOlder(own.object, notice.object);
  }
}

/** By resourceVersion, which grows within a collection (KEP-5504). */
function isOlder(a: KubeObject, b: KubeObject): boolean {
  return version(a) < version(b);
}

function version(object: KubeObject): bigint {
  const text = object.metadata.resourceVersion ?? '';
  return /^[0-9]+$/.test(text) ? BigInt(text) : 0n;
}
