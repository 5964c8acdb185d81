import type { Bank } from '@bankhouse/core';
import { classOf } from './mapping.ts';

/**
 * Which Banks have a place in a class, by namespace: those whose status says so, and those that took one in this process a moment ago,
 * so that two passes side by side can't both take the last one.
 */
export class Places {
  /** Uids by namespace and class. */
  private readonly taken = new Map<string, Set<string>>();
  private readonly placeOf = new Map<string, { namespace: string; className: string }>();
  private readonly countByClass = new Map<string, number>();

  /** Banks of all namespaces that have the class. */
  countOf(className: string): number {
    return this.countByClass.get(className) ?? 0;
  }

  isTaken(namespace: string, className: string): boolean {
    return this.taken.has(`${namespace}/${className}`);
  }

  countOthers(namespace: string, className: string, uid: string): number {
    const taken = this.taken.get(`${namespace}/${className}`);
    return (taken?.size ?? 0) - (taken?.has(uid) === true ? 1 : 0);
  }

  take(namespace: string, className: string, uid: string): void {
    const before = this.placeOf.get(uid);
    if (before?.namespace === namespace && before.className === className) return;
    this.leave(uid);
    this.placeOf.set(uid, { namespace, className });
    this.countByClass.set(className, this.countOf(className) + 1);
    const place = `${namespace}/${className}`;
    const taken = this.taken.get(place);
    if (taken === undefined) this.taken.set(place, new Set([uid]));
    else taken.add(uid);
  }

  /** @returns the place that is free now, `namespace/class`; none where it had none */
  leave(uid: string): string | undefined {
    const before = this.placeOf.get(uid);
    if (before === undefined) return undefined;
    const { namespace, className } = before;
    this.placeOf.delete(uid);
    this.countByClass.set(className, this.countOf(className) - 1);
    if (this.countOf(className) === 0) this.countByClass.delete(className);
    const place = `${namespace}/${className}`;
    const taken = this.taken.get(place);
    taken?.delete(uid);
    if (taken?.size === 0) this.taken.delete(place);
    return place;
  }

  /** A Bank as the API server has it; one without a class in its status may have just taken its place. */
  observe(bank: Bank): void {
    const className = classOf(bank);
    if (className !== undefined) this.take(bank.metadata.namespace ?? '', className, bank.metadata.uid ?? '');
  }
}
