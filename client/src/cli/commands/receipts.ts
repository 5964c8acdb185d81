import { BankhouseError } from '@bankhouse/core';
import type { Command } from 'commander';
import { checkArchive } from '../../import/index.ts';
import type { Context } from '../context.ts';
import { createControlClient, type ListedReceipt, trust } from '../control.ts';
import { UsageError } from '../errors.ts';
import { table } from './banks.ts';

interface Options {
  json?: boolean;
  sign?: string;
  compare?: string;
}

export function receiptsCommand(program: Command, context: Context): void {
  program
    .command('receipts')
    .description('list what deletions of banks erased')
    .argument('[bank]', "only of this bank's id")
    .option('--json', 'as JSON, with a digest over the keys of each table')
    .option('--sign <number>', 'instead: this receipt, signed by the platform, for the tenant')
    .option('--compare <file>', "instead: whether an export holds just what the bank's last deletion erased")
    .action(async (bank: string | undefined, options: Options) => {
      const { json, sign, compare } = options;
      if ([json, sign, compare].filter((option) => option !== undefined).length > 1) {
        throw new UsageError('Give one of --json, --sign and --compare.');
      }
      if (sign !== undefined && bank !== undefined)
        throw new UsageError('A receipt has one number: leave out the bank.');
      const settings = context.settings();
      trust(settings);
      const control = createControlClient(settings);
      if (sign !== undefined) return context.print((await control.receipt(sign)).jws);
      if (compare !== undefined) {
        const backup = await checkArchive(compare);
        const [last] = await control.receipts(bank ?? backup.header.bank);
        return compareWith(context, compare, backup.totals.tables, last);
      }
      const receipts = await control.receipts(bank);
      if (json === true) return context.print(JSON.stringify(receipts, null, 2));
      if (receipts.length === 0) return context.print('Nothing was erased yet.');
      context.print(
        table([['NUMBER', 'BANK', 'OWNER', 'ERASED AT', 'ROWS'], ...receipts.map((receipt) => describe(receipt))]),
      );
    });
}

function describe({ id, bank, owner, erasedAt, tables }: ListedReceipt): string[] {
  const rows = Object.entries(tables).filter(([, held]) => held.rows > 0);
  return [String(id), bank, owner, erasedAt, rows.map(([name, held]) => `${name} ${held.rows}`).join(', ') || '-'];
}

/** @throws BankhouseError `receipt_unknown`, `backup_differs` naming the tables */
function compareWith(
  context: Context,
  file: string,
  backup: ListedReceipt['tables'],
  receipt: ListedReceipt | undefined,
): void {
  if (receipt === undefined) throw new BankhouseError('receipt_unknown', 'There is no receipt of this bank.');
  const differing = Object.entries(backup).filter(
    ([name, { rows, keys }]) => receipt.tables[name]?.rows !== rows || receipt.tables[name]?.keys !== keys,
  );
  if (differing.length > 0) {
    const tables = differing.map(([name, { rows }]) => `${name} (${rows}, erased ${receipt.tables[name]?.rows ?? 0})`);
    throw new BankhouseError(
      'backup_differs',
      `${file} does not hold the rows that were erased at ${receipt.erasedAt}: they differ in ${tables.join(', ')}.`,
    );
  }
  context.print(`${file} holds the rows that receipt ${receipt.id} says were erased at ${receipt.erasedAt}.`);
}
