import { expect, it } from 'vitest';
import { createToolMetrics } from '../src/metrics.ts';

it('counts calls by tool and outcome, and their latency in buckets that add up', async () => {
  const metrics = createToolMetrics();
  metrics.observe('list_vaults', 'ok', 3);
  metrics.observe('list_vaults', 'ok', 30);
  metrics.observe('list_vaults', 'database_unavailable', 9000);
  metrics.count();
  const text = await metrics.metrics();
  for (const line of [
    'bankhouse_server_requests_total 1',
    'bankhouse_server_tool_calls_total{tool="list_vaults",outcome="ok"} 2',
    'bankhouse_server_tool_calls_total{tool="list_vaults",outcome="database_unavailable"} 1',
    'bankhouse_server_tool_duration_seconds_bucket{tool="list_vaults",le="0.005"} 1',
    'bankhouse_server_tool_duration_seconds_bucket{tool="list_vaults",le="0.05"} 2',
    'bankhouse_server_tool_duration_seconds_bucket{tool="list_vaults",le="5"} 2',
    'bankhouse_server_tool_duration_seconds_bucket{tool="list_vaults",le="+Inf"} 3',
    'bankhouse_server_tool_duration_seconds_count{tool="list_vaults"} 3',
  ]) {
    expect(text).toContain(`${line}\n`);
  }
});
