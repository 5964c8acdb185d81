import type { Clock } from '@bankhouse/kube';

/** What was last seen to be so elsewhere, by key, and is believed for a while: so a pass without news asks nobody. */
export class Sightings {
  private readonly seen = new Map<string, { digest: string; at: number }>();
  private readonly clock: Clock;
  private readonly believedMs: number;

  constructor(clock: Clock, believedMs: number) {
    this.clock = clock;
    this.believedMs = believedMs;
  }

  has(key: string, digest: string): boolean {
    const seen = this.seen.get(key);
    return seen?.digest === digest && this.clock.now() - seen.at < this.believedMs;
  }

  put(key: string, digest: string): void {
    this.seen.set(key, { digest, at: this.clock.now() });
  }

  forget(key: string): void {
    this.seen.delete(key);
  }
}
