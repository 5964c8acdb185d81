/**
 * What a bank feels of one that does all it can to be in the way: the other's calls through its real server, alone and beside each
 * nuisance and flood, with the watchdog on, in one run. `node test/load/neighbours.ts [--quick]`; exits with 1 where a call failed, or where
 * the p95 beside what is caught is more than twice that alone, but for the second in which it is caught.
 */
import { EVERY_FLOOD, measureNeighbours } from '../integration/isolation/neighbours.ts';
import { NUISANCES } from '../integration/isolation/nuisances.ts';

const MOST = 2;
const measured = await measureNeighbours({
  phaseMs: process.argv.includes('--quick') ? 2000 : 5000,
  nuisances: NUISANCES.map(({ name }) => name),
  floods: EVERY_FLOOD,
});

const { alone } = measured;
console.log(`alone: p95 ${alone.p95.toFixed(0)} ms, slowest ${alone.slowest.toFixed(0)} ms, ${alone.calls} calls`);
let missed = alone.failed.length;
for (const { name, calls, failed, p95, slowest, caughtMs } of measured.phases) {
  const ratio = p95 / alone.p95;
  const ended = caughtMs === undefined ? 'goes on' : `caught after ${caughtMs} ms`;
  console.log(
    `${name}: p95 ${p95.toFixed(0)} ms (${ratio.toFixed(1)} ×), slowest ${slowest.toFixed(0)} ms, ${failed.length} of ${calls} failed; ${ended}`,
  );
  for (const failure of new Set(failed)) console.log(`  ${failure}`);
  // Processor time is everybody's (docs/security.md): a flood's figure is told and not judged.
  if (failed.length > 0 || (caughtMs !== undefined && !EVERY_FLOOD.includes(name) && ratio > MOST)) missed++;
}
console.log(`quarantined: ${measured.quarantinedFor ?? 'no'}; came back: ${measured.cameBack ? 'yes' : 'no'}`);
process.exit(missed > 0 || measured.quarantinedFor === undefined || !measured.cameBack ? 1 : 0);
