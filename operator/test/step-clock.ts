import type { Clock } from '@bankhouse/kube';

/** Time moves only when a test runs the next timer. */
export class StepClock implements Clock {
  time = 0;
  private readonly timers = new Set<{ at: number; callback: () => void }>();
  now = () => this.time;
  random = () => 0.5;
  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.time + ms, callback };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }
  get next(): number | undefined {
    return [...this.timers].map(({ at }) => at - this.time).sort((a, b) => a - b)[0];
  }
  /** Runs the next timer and lets what it began come to rest. */
  async step(): Promise<void> {
    const timer = [...this.timers].sort((a, b) => a.at - b.at)[0];
    if (timer === undefined) return;
    this.timers.delete(timer);
    this.time = timer.at;
    timer.callback();
    await settle();
  }
}

/** Lets what has begun come to rest. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
}
