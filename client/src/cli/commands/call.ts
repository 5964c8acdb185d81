import { BankhouseError, bankUrl, field } from '@bankhouse/core';
import type { CallToolResult, Client } from '@modelcontextprotocol/client';
import { type Command, Option } from 'commander';
import { type Context, collect } from '../context.ts';
import { createControlClient, explainFetch, trust } from '../control.ts';
import { UsageError } from '../errors.ts';
import { readText, type Settings } from '../settings.ts';

interface CallOptions {
  vault?: string[];
  tokenFile?: string;
  era: 'auto' | 'modern' | 'legacy';
}

/** A token for one call need not outlive it by much. */
const TTL_SECONDS = 300;

export function callCommand(program: Command, context: Context): void {
  program
    .command('call')
    .description("call a tool of a bank, or list the bank's tools")
    .argument('<bank>', "the bank's id")
    .argument('[tool]', 'name of the tool; absent: list them')
    .argument('[arguments]', 'its arguments as a JSON object', '{}')
    .option('--vault <id>', 'with a token limited to these vaults; repeat it for more', collect)
    .option('--token-file <path>', 'a token of yours (also BANKHOUSE_TOKEN); otherwise one is made with the admin key')
    .addOption(new Option('--era <era>', 'of the protocol').choices(['auto', 'modern', 'legacy']).default('auto'))
    .action(async (bank: string, tool: string | undefined, text: string, options: CallOptions) => {
      const args = parseArguments(text);
      const settings = context.settings();
      trust(settings);
      const token = await tokenFor(bank, options, settings, context);
      const client = await connect(bankUrl(settings.url, bank), token, options.era, settings);
      try {
        if (tool === undefined) {
          const { tools } = await client.listTools();
          return context.print(tools.map(({ name, description }) => `${name}\t${description ?? ''}`).join('\n'));
        }
        printResult(tool, (await client.callTool({ name: tool, arguments: args })) as CallToolResult, context);
      } finally {
        await client.close();
      }
    });
}

function parseArguments(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // The one sentence below.
  }
  throw new UsageError(`The arguments must be a JSON object, such as '{"limit": 5}', and not: ${text}`);
}

async function tokenFor(bank: string, options: CallOptions, settings: Settings, context: Context): Promise<string> {
  if (options.tokenFile !== undefined) return readText(options.tokenFile, 'The token').trim();
  const given = context.env.BANKHOUSE_TOKEN;
  if (given !== undefined && given !== '') return given.trim();
  const vaults = options.vault === undefined ? {} : { vaults: options.vault };
  return (await createControlClient(settings).mint({ bank, ttlSeconds: TTL_SECONDS, ...vaults })).token;
}

async function connect(url: string, token: string, era: CallOptions['era'], settings: Settings): Promise<Client> {
  const mode =
    era === 'legacy'
      ? {}
      : { versionNegotiation: { mode: era === 'auto' ? ('auto' as const) : { pin: '2026-07-28' } } };
  // Loaded here: it is large, and no other command needs it.
  const { Client, StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
  const client = new Client({ name: 'bankhouse', version: '0.1.0' }, mode);
  try {
    await client.connect(
      new StreamableHTTPClientTransport(new URL(url), {
        requestInit: { headers: { authorization: `Bearer ${token}` } },
      }),
    );
    return client;
  } catch (error) {
    const failed = fetchFailureIn(error);
    throw failed === undefined ? error : explainFetch(failed, settings);
  }
}

/** The SDK wraps what fetch throws, which has the reason in its cause. */
function fetchFailureIn(error: unknown): TypeError | undefined {
  for (let cause = error, depth = 0; depth < 5 && cause instanceof Error; depth += 1) {
    if (cause instanceof TypeError && cause.message === 'fetch failed') return cause;
    cause = cause.cause ?? field(cause, 'data', 'cause');
  }
  return undefined;
}

function printResult(tool: string, result: CallToolResult, context: Context): void {
  const text = result.content.map((part) => (part.type === 'text' ? part.text : `[${part.type}]`)).join('\n');
  if (result.isError === true) throw new BankhouseError('tool_failed', `${tool} failed: ${text}`);
  context.print(result.structuredContent === undefined ? text : JSON.stringify(result.structuredContent, null, 2));
}
