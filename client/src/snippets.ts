/** MCP clients that `bankhouse connect` writes a snippet for (R1.9). */
export const CLIENTS = ['claude-code', 'codex', 'gemini', 'vscode', 'cursor', 'inspector'] as const;
export type ClientName = (typeof CLIENTS)[number];

export const TITLES: Readonly<Record<ClientName, string>> = {
  'claude-code': 'Claude Code',
  codex: 'Codex',
  gemini: 'Gemini CLI',
  vscode: 'VS Code',
  cursor: 'Cursor',
  inspector: 'MCP Inspector',
};

/** The environment variable that every snippet takes the token from. */
export const TOKEN_VARIABLE = 'BANK_TOKEN';

export interface Snippet {
  /** Where the text goes, such as a file; absent: it is a command. */
  file?: string;
  text: string;
}

/**
 * The ways to give a client a bank's endpoint, shortest first. No snippet holds a token.
 *
 * @param name what the client calls the server, such as `bank-acme`
 */
export function snippetsFor(client: ClientName, name: string, url: string): Snippet[] {
  const bearer = (variable: string) => ({ Authorization: `Bearer ${variable}` });
  switch (client) {
    case 'claude-code':
      return [
        { text: `claude mcp add --transport http ${name} ${url} --header "Authorization: Bearer $${TOKEN_VARIABLE}"` },
        {
          file: '.mcp.json',
          text: json({ mcpServers: { [name]: { type: 'http', url, headers: bearer(`\${${TOKEN_VARIABLE}}`) } } }),
        },
      ];
    case 'codex':
      return [
        { text: `codex mcp add ${name} --url ${url} --bearer-token-env-var ${TOKEN_VARIABLE}` },
        {
          file: '~/.codex/config.toml',
          text: `[mcp_servers.${name}]\nurl = "${url}"\nbearer_token_env_var = "${TOKEN_VARIABLE}"`,
        },
      ];
    case 'gemini':
      return [
        { text: `gemini mcp add --transport http --header "Authorization: Bearer $${TOKEN_VARIABLE}" ${name} ${url}` },
      ];
    case 'vscode':
      return [
        {
          file: '.vscode/mcp.json',
          text: json({
            inputs: [{ type: 'promptString', id: 'bank-token', description: `Token of ${name}`, password: true }],
            servers: { [name]: { type: 'http', url, headers: bearer(`\${input:bank-token}`) } },
          }),
        },
      ];
    case 'cursor':
      return [
        {
          file: '~/.cursor/mcp.json',
          text: json({ mcpServers: { [name]: { url, headers: bearer(`\${env:${TOKEN_VARIABLE}}`) } } }),
        },
        { text: cursorLink(name, { url, headers: bearer(`\${env:${TOKEN_VARIABLE}}`) }) },
      ];
    case 'inspector':
      return [
        {
          text: `npx @modelcontextprotocol/inspector --cli ${url} --transport http --header "Authorization: Bearer $${TOKEN_VARIABLE}" --method tools/list`,
        },
      ];
  }
}

function cursorLink(name: string, config: unknown): string {
  const encoded = encodeURIComponent(Buffer.from(JSON.stringify(config)).toString('base64'));
  return `cursor://anysphere.cursor-deeplink/mcp/install?name=${encodeURIComponent(name)}&config=${encoded}`;
}

function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}
