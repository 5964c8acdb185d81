import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { watchValue } from '../src/watched-value.ts';

describe('a watched value', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it('tells all who listen when it is another, once for each change', () => {
    let value = 'full';
    const watched = watchValue(() => value);
    const [one, other] = [vi.fn(), vi.fn()];
    const unlisten = watched.onChange(one);
    watched.onChange(other);
    vi.advanceTimersByTime(5000);
    expect(one).not.toHaveBeenCalled();
    value = 'compact';
    vi.advanceTimersByTime(5000);
    unlisten();
    value = 'search';
    vi.advanceTimersByTime(5000);
    expect([one.mock.calls.length, other.mock.calls.length]).toEqual([1, 2]);
  });

  it('tells who begins to listen later nothing of what was before', () => {
    let value = 'full';
    const watched = watchValue(() => value);
    watched.onChange(vi.fn())();
    value = 'compact';
    const late = vi.fn();
    watched.onChange(late);
    vi.advanceTimersByTime(5000);
    expect(late).not.toHaveBeenCalled();
  });

  it('is looked at only while somebody listens', () => {
    const look = vi.fn();
    const watched = watchValue(look);
    expect(vi.getTimerCount()).toBe(0);
    const listener = vi.fn();
    const [first, second] = [watched.onChange(listener), watched.onChange(listener)];
    first();
    first();
    expect(vi.getTimerCount()).toBe(1);
    second();
    expect(vi.getTimerCount()).toBe(0);
    watched.onChange(listener);
    watched.stop();
    expect(vi.getTimerCount()).toBe(0);
  });
});
