/**
 * `make verify`: what is generated is what the sources say; migrations are as they were
 * committed; formatting, lint and types are right.
 */
import { join } from 'node:path';
import { lintPart, readParts, rewrittenHistory } from '../control/src/migrations/index.ts';
import { digest, Fault, main, ROOT, step, tryRun } from './shared/index.ts';

/** What a generator writes, and what it is made of. */
const GENERATED = [
  { generator: 'core/src/generate.ts', source: 'core/src/resources', paths: ['crds', 'charts/bankhouse/crds'] },
  {
    generator: 'server/src/entities/generate.ts',
    source: 'server/src/entities',
    paths: ['migrations/tenants/functions/definitions.sql', 'migrations/tenants/functions/rows_as_json.sql'],
  },
  {
    generator: 'server/src/database/generate.ts',
    source: 'server/src/database/statement.ts',
    paths: ['migrations/tenants/functions/server_statements.sql'],
  },
  {
    generator: 'server/src/docs/generate.ts',
    source: 'server/src/toolsets',
    paths: ['docs/tools.md', 'core/src/policy/built-in.ts'],
  },
  { generator: 'control/src/migrations/generate.ts', source: 'migrations', paths: ['migrations/frozen.txt'] },
];

await main(async () => {
  for (const { generator, source, paths } of GENERATED) {
    const places = { paths: paths.map((path) => join(ROOT, path)) };
    const before = digest(places);
    await check(`generated files: ${paths.join(', ')}`, process.execPath, [generator]);
    if (digest(places) !== before) {
      throw new Fault(
        `${paths.join(' and ')} did not have what ${source} says; now they do: look at the difference and commit it.`,
      );
    }
  }
  const migrations = join(ROOT, 'migrations');
  const wrong = [...readParts(migrations).flatMap(lintPart), ...rewrittenHistory(migrations)];
  if (wrong.length > 0) throw new Fault(`The migrations can't be released so:\n${wrong.join('\n')}`);
  await check('formatting and lint', 'node_modules/.bin/biome', ['ci', '--colors=off', '.']);
  await check('types', 'node_modules/.bin/tsc', ['--noEmit']);
});

async function check(label: string, program: string, args: string[]): Promise<void> {
  const ran = await step(label, () => tryRun(program, args));
  if (ran.code === 0) return;
  process.stderr.write(`${ran.stdout}${ran.stderr}\n`);
  throw new Fault(`${label}: ${program.split('/').at(-1)} is not content, see above.`);
}
