import { bankUrl, isBankId } from '@bankhouse/core';
import { type Command, Option } from 'commander';
import { CLIENTS, type ClientName, snippetsFor, TITLES, TOKEN_VARIABLE } from '../../snippets.ts';
import type { Context } from '../context.ts';
import { createControlClient, trust } from '../control.ts';
import { UsageError } from '../errors.ts';
import type { Settings } from '../settings.ts';

interface ConnectOptions {
  client?: ClientName;
  name?: string;
}

/** Snippets for MCP clients (R1.9). They name the token's variable, never a token. */
export function connectCommand(program: Command, context: Context): void {
  program
    .command('connect')
    .description('print how an MCP client connects to a bank')
    .argument('<bank>', "the bank's id")
    .addOption(new Option('--client <name>', 'only for this one').choices(CLIENTS))
    .option('--name <name>', 'what the client calls it (default: bank-<id>)')
    .action(async (bank: string, options: ConnectOptions) => {
      if (!isBankId(bank)) {
        throw new UsageError(`"${bank}" is no bank's id: lower-case letters, digits and hyphens, at most 40.`);
      }
      const name = options.name ?? `bank-${bank}`;
      if (!/^[A-Za-z0-9_-]{1,64}$/.test(name)) {
        throw new UsageError(`"${name}" is no name for a server: letters, digits, "-" and "_", at most 64.`);
      }
      const settings = context.settings();
      if (settings.hasAdmin) await requireBank(bank, settings);
      const url = bankUrl(settings.url, bank);
      const preamble = [
        `# URL: ${url}`,
        `export ${TOKEN_VARIABLE}="$(npx bankhouse ${settings.isLocal ? '' : `--url ${settings.url} `}token ${bank})"`,
        ...(settings.caFile === undefined
          ? []
          : [`# The platform's own CA, for clients on Node.js:`, `export NODE_EXTRA_CA_CERTS="${settings.caFile}"`]),
      ];
      const wanted = options.client === undefined ? CLIENTS : [options.client];
      context.print([...preamble, ...wanted.flatMap((client) => ['', ...render(client, name, url)])].join('\n'));
    });
}

function render(client: ClientName, name: string, url: string): string[] {
  return snippetsFor(client, name, url).flatMap(({ file, text }, index) => [
    ...(index === 0 ? [`# ${TITLES[client]}`] : ['# or']),
    ...(file === undefined ? [] : [`# ${file}`]),
    text,
  ]);
}

async function requireBank(bank: string, settings: Settings): Promise<void> {
  trust(settings);
  const banks = await createControlClient(settings).banks();
  if (banks.some(({ id }) => id === bank)) return;
  const there = banks.length === 0 ? 'there is none yet' : `there are ${banks.map(({ id }) => id).join(', ')}`;
  throw new UsageError(`There is no bank "${bank}"; ${there}.`);
}
