import { monitorEventLoopDelay } from 'node:perf_hooks';
import { expect, test } from 'vitest';
import { fill } from '../../harness/fill.ts';
import { useWorld } from './support/index.ts';

const world = useWorld();

test('K4: a full cluster is listed in seconds, and the process goes on turning meanwhile', async () => {
  await world.operator.stop();
  // test/load/operator-start.ts does it with ten times as many.
  await world.delete('/apis/bankhouse.dev/v1alpha1/bankclasses/standard');
  await fill(world.transport, { banks: 1_000, servers: 1_000 });
  const turning = monitorEventLoopDelay({ resolution: 10 });
  turning.enable();
  const startedAt = performance.now();
  const standby = await world.standBy();
  const ms = performance.now() - startedAt;
  turning.disable();
  await standby.stop();
  expect(ms).toBeLessThan(20_000);
  expect(turning.max / 1e6).toBeLessThan(1_000);
});
