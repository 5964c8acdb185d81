import type { Bank } from '@bankhouse/core';
import { classOf } from './mapping.ts';

/**
 * Which Banks have a place in a class, by namespace: those whose status says so, and those that took one in this process a moment ago,
 * so that two passes side by side can't both take the last one.
 */
export class Places {
  /** Uids by namespace and class. */
  private readonly taken = new Map<string, Set<string>>();
  private readonly placeOf = new Map<string, string>();

  countOthers(namespace: string, className: string, uid: string): number {
    const taken = this.taken.get(`${namespace}/${className}`);
    return (taken?.size ?? 0) - (taken?.has(uid) === true ? 1 : 0);
  }

  take(namespace: string, className: string, uid: string): void {
    const place = `${namespace}/${className}`;
    if (this.placeOf.get(uid) === place) return;
    this.leave(uid);
    this.placeOf.set(uid, place);
    const taken = this.taken.get(place);
    if (taken === undefined) this.taken.set(place, new Set([uid]));
    else taken.add(uid);
  }

  leave(uid: string): void {
    const place = this.placeOf.get(uid);
    if (place === undefined) return;
    this.placeOf.delete(uid);
    const taken = this.taken.get(place);
    taken?.delete(uid);
    if (taken?.size === 0) this.taken.delete(place);
  }

  /** A Bank as the API server has it; one without a class in its status may have just taken its place. */
  observe(bank: Bank): void {
    const className = classOf(bank);
    if (className !== undefined) this.take(bank.metadata.namespace ?? '', className, bank.metadata.uid ?? '');
  }
}
