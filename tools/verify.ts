/** `make verify`: what is generated is what the sources say; formatting, lint and types are right. */
import { join } from 'node:path';
import { digest, Fault, main, ROOT, step, tryRun } from './shared/index.ts';

const GENERATED = ['crds', 'charts/bankhouse/crds'];

await main(async () => {
  const paths = GENERATED.map((path) => join(ROOT, path));
  const before = digest({ paths });
  await check('generated files', process.execPath, ['core/src/generate.ts']);
  if (digest({ paths }) !== before) {
    throw new Fault(
      `${GENERATED.join(' and ')} were not what core/src/resources says; they are now: look at the difference and commit it.`,
    );
  }
  await check('formatting and lint', 'node_modules/.bin/biome', ['ci', '--colors=off', '.']);
  await check('types', 'node_modules/.bin/tsc', ['--noEmit']);
});

async function check(label: string, program: string, args: string[]): Promise<void> {
  const ran = await step(label, () => tryRun(program, args));
  if (ran.code === 0) return;
  process.stderr.write(`${ran.stdout}${ran.stderr}\n`);
  throw new Fault(`${label}: ${program.split('/').at(-1)} is not content, see above.`);
}
