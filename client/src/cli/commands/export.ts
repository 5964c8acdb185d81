import type { Command } from 'commander';
import { exportBank } from '../../export/index.ts';
import type { Context } from '../context.ts';
import { UsageError } from '../errors.ts';
import { createTicker } from '../progress.ts';

export function exportCommand(program: Command, context: Context): void {
  program
    .command('export')
    .description('write all of a bank to a file that "bankhouse import" takes (docs/export-format.md)')
    .argument('<bank>', "the bank's id")
    .argument('[file]', 'JSON Lines, new; - is standard output (default: BANK.export.jsonl)')
    .option('--resume', 'go on with a file whose export was interrupted')
    .action(async (bank: string, named: string | undefined, options: { resume?: boolean }) => {
      const resume = options.resume === true;
      const file = named ?? `${bank}.export.jsonl`;
      if (file === '-' && resume) throw new UsageError('Standard output can not be gone on with; name the file.');
      const began = performance.now();
      const tell = createTicker((text) => context.note(`${bank}: ${text}`));
      const done = await exportBank({
        databaseUrl: context.databaseUrl(),
        bank,
        target: file === '-' ? process.stdout : file,
        resume,
        onProgress: ({ doing, rows, total }) => tell(doing, rows, total),
      });
      const seconds = (performance.now() - began) / 1000;
      const kept = done.kept > 0 ? `, of which ${done.kept} were there already` : '';
      context.note(`${bank}: ${done.rows} rows in ${seconds.toFixed(1)} s${kept}; digest ${done.digest}`);
    });
}
