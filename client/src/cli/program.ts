import type { Environment } from '@bankhouse/core';
import { Command } from 'commander';
import { banksCommand } from './commands/banks.ts';
import { callCommand } from './commands/call.ts';
import { connectCommand } from './commands/connect.ts';
import { embedCommand } from './commands/embed.ts';
import { exportCommand } from './commands/export.ts';
import { importCommand } from './commands/import.ts';
import { loadCommand } from './commands/load.ts';
import { receiptsCommand } from './commands/receipts.ts';
import { revokeCommand } from './commands/revoke.ts';
import { tokenCommand } from './commands/token.ts';
import type { Context } from './context.ts';
import { databaseUrlOf, type GlobalOptions, loadSettings } from './settings.ts';

export interface Surroundings {
  env: Environment;
  cwd: string;
  out: (text: string) => void;
  err: (text: string) => void;
}

export function createProgram({ env, cwd, out, err }: Surroundings): Command {
  const program = new Command('bankhouse')
    .description('Banks, their tokens and their MCP endpoints.')
    .option('--url <origin>', 'front door (BANKHOUSE_URL; default: the platform of "make up" in this folder or above)')
    .option('--ca-file <path>', "PEM of the front door's CA (BANKHOUSE_CA_FILE)")
    .option(
      '--admin-url <origin>',
      'where control takes the admin key, as by kubectl port-forward (BANKHOUSE_ADMIN_URL)',
    )
    .option('--admin-key-file <path>', 'file with the admin key (BANKHOUSE_ADMIN_KEY_FILE)')
    .configureOutput({ writeOut: out, writeErr: err })
    .showHelpAfterError('(see --help)')
    .exitOverride();
  const context: Context = {
    env,
    settings: () => loadSettings(program.opts<GlobalOptions>(), env, cwd),
    print: (text) => out(`${text}\n`),
    note: (text) => err(`${text}\n`),
    databaseUrl: () => databaseUrlOf(env, cwd),
  };
  tokenCommand(program, context);
  banksCommand(program, context);
  revokeCommand(program, context);
  connectCommand(program, context);
  callCommand(program, context);
  loadCommand(program, context);
  embedCommand(program, context);
  exportCommand(program, context);
  importCommand(program, context);
  receiptsCommand(program, context);
  return program;
}
