/**
 * A process of its own that does what is in everybody's way, as a taken-over bank pod would: `node attacker.ts <url> <what> <ms> <assertion>`, what being
 * a nuisance's name or a flood's, of which each of twelve sessions takes part. It says `begun`, and goes on until its time is over or its
 * sessions are ended.
 */
import { floodNamed, runFlood } from './floods.ts';
import { begin, NUISANCES } from './nuisances.ts';

const CONNECTIONS = 12;

const [, , url = '', what = '', ms = '0', assertion = ''] = process.argv;
const until = Date.now() + Number(ms);
process.stdout.write('begun\n');
const flood = floodNamed(what);
if (flood !== undefined) {
  const isOver = () => Date.now() >= until;
  await Promise.all(
    Array.from({ length: CONNECTIONS }, (_, session) => runFlood(flood, { url, session, assertion, isOver })),
  );
} else {
  const nuisance = NUISANCES.find(({ name }) => name === what);
  if (nuisance === undefined) throw new Error(`There is no nuisance ${what}.`);
  const running = await begin(nuisance, url).catch(() => undefined);
  while (running?.alive() === true && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
  await running?.stop();
}
process.exit(0);
