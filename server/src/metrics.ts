/** Upper bounds of the latency buckets, in seconds. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export interface ToolMetrics {
  /** One more request, before anything is known of it. */
  count(): void;
  observe(tool: string, outcome: string, durationMs: number): void;
  readonly contentType: string;
  /** Prometheus text format 0.0.4. */
  metrics(): Promise<string>;
}

/**
 * Calls by tool and outcome, latency by tool, memory. Two small tables instead of prom-client: a bank's pod is small, and
 * there are thousands of them. Labels come from the tools that exist and from ToolErrorCode, so their number is bounded.
 */
export function createToolMetrics(): ToolMetrics {
  let requests = 0;
  const calls = new Map<string, number>();
  const latencies = new Map<string, { counts: number[]; sum: number; count: number }>();
  return {
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
    count() {
      requests++;
    },
    observe(tool, outcome, durationMs) {
      const labels = `tool="${tool}",outcome="${outcome}"`;
      calls.set(labels, (calls.get(labels) ?? 0) + 1);
      let latency = latencies.get(tool);
      if (latency === undefined) {
        latency = { counts: BUCKETS.map(() => 0), sum: 0, count: 0 };
        latencies.set(tool, latency);
      }
      const seconds = durationMs / 1000;
      latency.sum += seconds;
      latency.count++;
      for (const [index, bound] of BUCKETS.entries()) {
        if (seconds <= bound) latency.counts[index] = (latency.counts[index] ?? 0) + 1;
      }
    },
    async metrics() {
      const lines = [
        '# TYPE bankhouse_server_requests_total counter',
        `bankhouse_server_requests_total ${requests}`,
        '# TYPE bankhouse_server_tool_calls_total counter',
      ];
      for (const [labels, count] of calls) lines.push(`bankhouse_server_tool_calls_total{${labels}} ${count}`);
      lines.push('# TYPE bankhouse_server_tool_duration_seconds histogram');
      for (const [tool, { counts, sum, count }] of latencies) {
        const name = 'bankhouse_server_tool_duration_seconds';
        for (const [index, bound] of BUCKETS.entries()) {
          lines.push(`${name}_bucket{tool="${tool}",le="${bound}"} ${counts[index] ?? 0}`);
        }
        lines.push(`${name}_bucket{tool="${tool}",le="+Inf"} ${count}`);
        lines.push(`${name}_sum{tool="${tool}"} ${sum}`, `${name}_count{tool="${tool}"} ${count}`);
      }
      lines.push(
        '# TYPE process_resident_memory_bytes gauge',
        `process_resident_memory_bytes ${process.memoryUsage.rss()}`,
      );
      return `${lines.join('\n')}\n`;
    },
  };
}
