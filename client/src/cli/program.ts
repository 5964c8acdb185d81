import type { Environment } from '@bankhouse/core';
import { Command } from 'commander';
import { banksCommand } from './commands/banks.ts';
import { callCommand } from './commands/call.ts';
import { connectCommand } from './commands/connect.ts';
import { loadCommand } from './commands/load.ts';
import { revokeCommand } from './commands/revoke.ts';
import { tokenCommand } from './commands/token.ts';
import { databaseUrlOf, type GlobalOptions, loadSettings, type Settings } from './settings.ts';

/** What a command works with. */
export interface Context {
  env: Environment;
  settings(): Settings;
  /** One text to standard output, with a newline. */
  print(text: string): void;
  /** One text to standard error, with a newline: progress and what else is not the result. */
  note(text: string): void;
  /** URL of the database's owner. @throws UsageError when there is none */
  databaseUrl(): string;
}

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
  return program;
}

/** An option that may be given several times. One value each, so that it never swallows the argument behind it. */
export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}
