import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { createControlClient, type ListedBank, trust } from '../control.ts';

export function banksCommand(program: Command, context: Context): void {
  program
    .command('banks')
    .description('list the banks')
    .option('--json', 'as JSON')
    .action(async (options: { json?: boolean }) => {
      const settings = context.settings();
      trust(settings);
      const banks = await createControlClient(settings).banks();
      if (options.json === true) return context.print(JSON.stringify(banks, null, 2));
      if (banks.length === 0) return context.print('There is no bank yet: kubectl apply a Bank.');
      context.print(
        table([
          ['ID', 'TYPE', 'URL', 'VAULTS', 'NAME'],
          ...banks.map((bank: ListedBank) => [
            bank.id,
            bank.type,
            bank.url,
            bank.vaults.map(({ id }) => id).join(',') || '-',
            bank.name,
          ]),
        ]),
      );
    });
}

/** Columns as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map((row) =>
      row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  '),
    )
    .join('\n');
}
