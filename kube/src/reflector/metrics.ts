import { Counter, Gauge, type Registry } from '@bankhouse/core';

/** What a reflector counts, under the label `watch` (its name). */
export interface ReflectorMetrics {
  /** An event, bookmark or page arrived at `now` (milliseconds since 1970), and the store holds `objects`. */
  heard(watch: string, now: number, objects: number): void;
  relisted(watch: string): void;
  reconnected(watch: string): void;
  /** An object made `trim` or a handler raise. */
  poisoned(watch: string, at: 'trim' | 'handler'): void;
}

export function createReflectorMetrics(registry: Registry): ReflectorMetrics {
  const labelNames = ['watch'] as const;
  const registers = [registry];
  const lastHeard = new Map<string, number>();
  new Gauge({
    name: 'bankhouse_watch_last_event_age_seconds',
    help: 'Seconds since the API server last sent anything on this watch; bookmarks come about every minute.',
    labelNames,
    registers,
    collect() {
      for (const [watch, at] of lastHeard) this.set({ watch }, (Date.now() - at) / 1000);
    },
  });
  const held = new Gauge({ name: 'bankhouse_watch_objects', help: 'Objects held.', labelNames, registers });
  const relists = new Counter({
    name: 'bankhouse_watch_relists_total',
    help: 'Lists from the start: the first one, and one after each version that the server no longer had.',
    labelNames,
    registers,
  });
  const reconnects = new Counter({
    name: 'bankhouse_watch_reconnects_total',
    help: 'Watches taken up again where they broke or ended.',
    labelNames,
    registers,
  });
  const poisoned = new Counter({
    name: 'bankhouse_watch_poisoned_total',
    help: 'Notices of objects that our own code could not take; the watch went on without.',
    labelNames: ['watch', 'at'] as const,
    registers,
  });
  return {
    heard(watch, now, objects) {
      lastHeard.set(watch, now);
      held.set({ watch }, objects);
    },
    relisted: (watch) => relists.inc({ watch }),
    reconnected: (watch) => reconnects.inc({ watch }),
    poisoned: (watch, at) => poisoned.inc({ watch, at }),
  };
}
