/**
 * What a bank feels of one that does all it can to be in the way: the other's calls through its real server, alone and beside each
 * nuisance and flood, with the watchdog on, in one run. `node test/load/neighbours.ts [--quick]`; exits with 1 where a call failed, or where
 * the p95 beside what is caught is more than twice that alone, but for the second in which it is caught.
 */
import { FLOODS, floodNamed } from '../integration/isolation/floods.ts';
import { measureNeighbours } from '../integration/isolation/neighbours.ts';
import { NUISANCES } from '../integration/isolation/nuisances.ts';

const MOST = 2;
const measured = await measureNeighbours({
  phaseMs: process.argv.includes('--quick') ? 2000 : 5000,
  nuisances: NUISANCES.map(({ name }) => name),
  floods: FLOODS.map(({ name }) => name),
});

let missed = 0;
for (const { name, calls, failed, p95, p95Alone, slowest, caughtMs } of measured.phases) {
  const ratio = p95 / p95Alone;
  const ended = caughtMs === undefined ? 'goes on' : `caught after ${caughtMs} ms`;
  console.log(
    `${name}: p95 ${p95.toFixed(0)} ms (${ratio.toFixed(1)} × ${p95Alone.toFixed(0)}), slowest ${slowest.toFixed(0)} ms, ${failed.length} of ${calls} failed; ${ended}`,
  );
  for (const failure of new Set(failed)) console.log(`  ${failure}`);
  // What is not to be told from a bank that is busy, is everybody's (docs/security.md): told and not judged.
  const flood = floodNamed(name);
  const isJudged = flood === undefined || flood.reason !== undefined;
  if (failed.length > 0 || (isJudged && (ratio > MOST || (flood !== undefined && caughtMs === undefined)))) missed++;
}
console.log(`quarantined: ${measured.quarantinedFor ?? 'no'}; came back: ${measured.cameBack ? 'yes' : 'no'}`);
process.exit(missed > 0 || measured.quarantinedFor === undefined || !measured.cameBack ? 1 : 0);
