import type { Command } from 'commander';
import { checkArchive, importBank } from '../../import/index.ts';
import type { Context } from '../context.ts';
import { UsageError } from '../errors.ts';
import { createTicker } from '../progress.ts';
import { table } from './banks.ts';

interface Options {
  bank?: string;
  resume?: boolean;
  check?: boolean;
}

export function importCommand(program: Command, context: Context): void {
  program
    .command('import')
    .description('bring what "bankhouse export" wrote into an empty bank, or check such a file')
    .argument('<file>', 'an export')
    .option('--bank <id>', 'the bank to import into (default: the one that was exported)')
    .option('--resume', 'go on with an import that was interrupted')
    .option('--check', 'only check the file; needs no database')
    .action(async (file: string, options: Options) => {
      if (options.check === true) {
        if (options.bank !== undefined || options.resume === true) {
          throw new UsageError('--check looks at the file alone; leave out --bank and --resume.');
        }
        return check(context, file);
      }
      const began = performance.now();
      const tell = createTicker((text) => context.note(`${options.bank ?? file}: ${text}`));
      const done = await importBank({
        databaseUrl: context.databaseUrl(),
        file,
        ...(options.bank === undefined ? {} : { bank: options.bank }),
        resume: options.resume === true,
        onProgress: ({ rows, total }) => tell('imported', rows, total),
      });
      const seconds = (performance.now() - began) / 1000;
      const kept = done.kept > 0 ? `, of which ${done.kept} were there already` : '';
      context.note(`${done.bank}: ${done.rows} rows in ${seconds.toFixed(1)} s${kept}`);
    });
}

async function check(context: Context, file: string): Promise<void> {
  const { header, lines, totals, digest } = await checkArchive(file);
  context.print(`${file} is whole: bank ${header.bank}, exported at ${header.exportedAt}, ${lines} lines`);
  context.print(
    table([
      ['TABLE', 'ROWS', 'KEYS (SHA-256)'],
      ...Object.entries(totals.tables).map(([name, { rows, keys }]) => [name, String(rows), keys]),
    ]),
  );
  context.print(`digest ${digest}`);
}
