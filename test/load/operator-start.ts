/**
 * Start of an operator in a cluster that is full already: time until it works, and its memory then. Targets: 20 s and 300 MB with 10,000
 * Banks and 10,000 McpServers.
 *
 *     BANKHOUSE_BIN=.cluster/bin node test/load/operator-start.ts [--banks 10000] [--servers 10000]
 */
import { parseArgs } from 'node:util';
import { startApiServer } from '../harness/apiserver.ts';
import { fill } from '../harness/fill.ts';
import { awayDatabase, MeasuredOperator } from './operator-process.ts';

const TARGET = { seconds: 20, mb: 300 };

const { values } = parseArgs({
  options: { banks: { type: 'string', default: '10000' }, servers: { type: 'string', default: '10000' } },
});
const [banks, servers] = [Number(values.banks), Number(values.servers)];

const api = await startApiServer();
try {
  const filledIn = await fill(api.transport, { banks, servers });
  console.log(`${banks} Banks and ${servers} McpServers made in ${(filledIn / 1000).toFixed(1)} s`);
  // Away, so that no bank is made while the start is measured.
  const { operator, seconds } = await MeasuredOperator.start(api, await awayDatabase());
  try {
    const { now, most } = operator.memory;
    console.log(
      `works after ${seconds.toFixed(1)} s (${operator.cpu.toFixed(1)} s of CPU; target ${TARGET.seconds} s)`,
    );
    console.log(`memory ${now} MB, at most ${most} MB (target ${TARGET.mb} MB)`);
    if (seconds > TARGET.seconds || most > TARGET.mb) process.exitCode = 1;
  } finally {
    await operator.stop();
  }
} finally {
  await api.stop();
}
