/**
 * What an operator takes while the database is away, with many Banks in the cluster. An hour is not waited for but put together of what it
 * consists of, each measured on a real process: rounds of passes over all Banks (one at the start, and one every ten minutes, each for what no
 * watch tells), and the time between them, in which one asks for all whether the database is back. Target: 5 % of a core.
 *
 *     BANKHOUSE_BIN=.cluster/bin node test/load/operator-outage.ts [--banks 10000]
 */
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startApiServer } from '../harness/apiserver.ts';
import { fill } from '../harness/fill.ts';
import { awayDatabase, MeasuredOperator } from './operator-process.ts';

const TARGET_PERCENT = 5;
const ROUNDS_AN_HOUR = 6;
const HOUR_S = 3600;
const QUIET_MS = 30_000;
const LIMIT_MS = 900_000;

const { values } = parseArgs({ options: { banks: { type: 'string', default: '10000' } } });
const banks = Number(values.banks);

const api = await startApiServer();
try {
  await fill(api.transport, { banks, servers: 0 });
  const url = await awayDatabase();
  // The first round says in every status that the database is away.
  const first = await MeasuredOperator.start(api, url);
  await idle(first.operator);
  const writes = JSON.stringify(await first.operator.writes());
  console.log(`the first round of ${banks} Banks: ${first.operator.cpu.toFixed(1)} s of CPU; ${writes}`);
  await first.operator.stop();
  // A round in which nothing is new, as each later one is.
  const { operator } = await MeasuredOperator.start(api, url);
  const began = operator.cpu;
  await idle(operator);
  const round = operator.cpu - began;
  const again = Object.values(await operator.writes()).reduce((sum, each) => sum + each, 0);
  const before = operator.cpu;
  await wait(QUIET_MS);
  const between = (operator.cpu - before) / (QUIET_MS / 1000);
  await operator.stop();
  const percent = (100 * (ROUNDS_AN_HOUR * round + HOUR_S * between)) / HOUR_S;
  console.log(
    `a later round: ${round.toFixed(2)} s of CPU, ${again} writes; between them ${(100 * between).toFixed(2)} % of a core`,
  );
  console.log(`an hour: ${percent.toFixed(2)} % of a core (target ${TARGET_PERCENT} %)`);
  if (percent > TARGET_PERCENT) process.exitCode = 1;
} finally {
  await api.stop();
}

/** Until no pass waits for a worker. */
async function idle(operator: MeasuredOperator): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  for (let quiet = 0; quiet < 3; ) {
    if (performance.now() > end) throw new Error(`There are passes that wait after ${LIMIT_MS} ms.`);
    await wait(500);
    quiet = (await operator.queueLength()) === 0 ? quiet + 1 : 0;
  }
}
