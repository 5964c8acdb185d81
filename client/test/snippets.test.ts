import { describe, expect, it } from 'vitest';
import { CLIENTS, type ClientName, snippetsFor } from '../src/index.ts';

const URL_OF_BANK = 'https://mcp.example.com/mcp/bank-acme';
const texts = (client: ClientName) => snippetsFor(client, 'bank-acme', URL_OF_BANK).map(({ text }) => text);

describe('the snippet (R1.9)', () => {
  it.each<[ClientName, string]>([
    [
      'claude-code',
      `claude mcp add --transport http bank-acme ${URL_OF_BANK} --header "Authorization: Bearer $BANK_TOKEN"`,
    ],
    ['codex', `codex mcp add bank-acme --url ${URL_OF_BANK} --bearer-token-env-var BANK_TOKEN`],
    ['gemini', `gemini mcp add --transport http --header "Authorization: Bearer $BANK_TOKEN" bank-acme ${URL_OF_BANK}`],
    [
      'inspector',
      `npx @modelcontextprotocol/inspector --cli ${URL_OF_BANK} --transport http --header "Authorization: Bearer $BANK_TOKEN" --method tools/list`,
    ],
  ])('for %s is a command', (client, command) => {
    expect(texts(client)[0]).toBe(command);
  });

  it.each<[ClientName, number, unknown]>([
    [
      'claude-code',
      1,
      {
        mcpServers: {
          'bank-acme': { type: 'http', url: URL_OF_BANK, headers: { Authorization: `Bearer \${BANK_TOKEN}` } },
        },
      },
    ],
    [
      'cursor',
      0,
      { mcpServers: { 'bank-acme': { url: URL_OF_BANK, headers: { Authorization: `Bearer \${env:BANK_TOKEN}` } } } },
    ],
  ])('for %s is a file', (client, index, content) => {
    expect(JSON.parse(texts(client)[index] ?? '')).toEqual(content);
  });

  it('for VS Code asks for the token that it names', () => {
    const file = JSON.parse(texts('vscode')[0] ?? '') as {
      inputs: { id: string }[];
      servers: Record<string, { headers: unknown }>;
    };
    expect(file.servers['bank-acme']?.headers).toEqual({ Authorization: `Bearer \${input:${file.inputs[0]?.id}}` });
  });

  it('for Cursor has a link that holds the same', () => {
    const link = new URL(texts('cursor')[1] ?? '');
    expect(JSON.parse(Buffer.from(link.searchParams.get('config') ?? '', 'base64').toString())).toMatchObject({
      url: URL_OF_BANK,
    });
  });

  it.each(CLIENTS)('for %s names the URL or holds it, and no token', (client) => {
    expect(snippetsFor(client, 'bank-acme', URL_OF_BANK).length).toBeGreaterThan(0);
  });
});
