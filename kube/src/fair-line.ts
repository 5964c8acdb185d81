/**
 * Keys that wait, by group: groups take turns, and within a group the oldest key comes first. A group of ten thousand keys so
 * delays the first key of any other group by one turn of each group, not by ten thousand.
 */
export class FairLine {
  /** A group that was served moves to the end; one without keys isn't here. */
  private readonly groups = new Map<string, Set<string>>();
  private count = 0;
  private readonly groupOf: (key: string) => string;

  constructor(groupOf: (key: string) => string) {
    this.groupOf = groupOf;
  }

  get size(): number {
    return this.count;
  }

  has(key: string): boolean {
    return this.groups.get(this.groupOf(key))?.has(key) === true;
  }

  add(key: string): void {
    const group = this.groupOf(key);
    const keys = this.groups.get(group);
    if (keys?.has(key) === true) return;
    if (keys === undefined) this.groups.set(group, new Set([key]));
    else keys.add(key);
    this.count += 1;
  }

  delete(key: string): void {
    const group = this.groupOf(key);
    const keys = this.groups.get(group);
    if (keys?.delete(key) !== true) return;
    this.count -= 1;
    if (keys.size === 0) this.groups.delete(group);
  }

  /** Takes the next key out, of a group that may be served; `undefined` when there is none. */
  shift(mayServe: (group: string) => boolean): string | undefined {
    for (const [group, keys] of this.groups) {
      if (!mayServe(group)) continue;
      const [key] = keys;
      if (key === undefined) continue;
      keys.delete(key);
      this.count -= 1;
      this.groups.delete(group);
      if (keys.size > 0) this.groups.set(group, keys);
      return key;
    }
    return undefined;
  }

  clear(): void {
    this.groups.clear();
    this.count = 0;
  }
}
