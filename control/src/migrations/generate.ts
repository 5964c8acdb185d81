import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brokenPromises, FROZEN, freeze, printFrozen, readParts } from './frozen.ts';
import { committedFrozen } from './frozen-history.ts';

/** `npm run generate`: writes migrations/frozen.txt. What the last commit froze and is not so any more is refused. */
const dir = new URL('../../../migrations', import.meta.url).pathname;
const parts = readParts(dir);
const committed = committedFrozen(dir);
const broken = brokenPromises(committed, parts);
for (const sentence of broken) process.stderr.write(`${sentence}\n`);
if (broken.length > 0) process.exitCode = 1;
else writeFileSync(join(dir, FROZEN), printFrozen(freeze(committed, parts)));
