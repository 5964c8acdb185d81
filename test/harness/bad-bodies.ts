/** The part of the table of bad requests that is about bodies, which say what a request of an older revision does. */
import { type BadRequest, calling, FORBIDDEN, LIST, rowsOf, WRONG } from './bad-rows.ts';
import { type BadRequestContext, changed } from './tokens.ts';

const WRITE = calling('delete_note');

/** Bodies that are no JSON-RPC, with the code of the answer. */
const WRONG_BODIES: readonly (readonly [name: string, body: string | Uint8Array, code: string])[] = [
  ['a body that is no JSON, older revision', '{"jsonrpc":', 'body_not_json'],
  ['an empty body, older revision', '', 'body_not_json'],
  ['a body of blanks', ' \n\t ', 'body_not_json'],
  ['JSON with a comma too many', '{"jsonrpc":"2.0","id":1,"method":"tools/list",}', 'body_not_json'],
  ['JSON with a comment', '/* */{"jsonrpc":"2.0","id":1,"method":"tools/list"}', 'body_not_json'],
  ['JSON in single quotes', "{'jsonrpc':'2.0','id':1,'method':'tools/list'}", 'body_not_json'],
  ['JSON with NaN', '{"jsonrpc":"2.0","id":NaN,"method":"tools/list"}', 'body_not_json'],
  ['JSON with a number in hexadecimal', '{"jsonrpc":"2.0","id":0x1,"method":"tools/list"}', 'body_not_json'],
  ['JSON with a newline in a text', '{"jsonrpc":"2.0","id":1,"method":"tools/\nlist"}', 'body_not_json'],
  ['two messages in two lines', `${LIST}\n${WRITE}`, 'body_not_json'],
  ['a message with something behind', `${LIST}#`, 'body_not_json'],
  ['a message behind what keeps scripts out', `)]}'\n${LIST}`, 'body_not_json'],
  ['a form', 'method=tools%2Flist&id=1', 'body_not_json'],
  ['XML', '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>', 'body_not_json'],
  ['UTF-16', Buffer.from(LIST, 'utf16le'), 'body_not_json'],
  ['a text that is no UTF-8', Buffer.from(LIST.replace('tools', 'to\u00fcls'), 'latin1'), 'body_not_json'],
  ['a slash in two bytes where one would do', overlong(LIST), 'body_not_json'],
  ['G2: a body that nests deeper than anything means', `${'['.repeat(5_000)}${']'.repeat(5_000)}`, 'body_too_deep'],
  ['G2: a body that nests one deeper than is taken', `${'{"a":'.repeat(65)}0${'}'.repeat(65)}`, 'body_too_deep'],
  ['G2: a body that nests deep and never ends', '[{"a":'.repeat(5_000), 'body_too_deep'],
  ['G2: a body of more values than anything means', `[${Array(60_000).fill('[]').join(',')}]`, 'body_too_many'],
  ['G2: a body of more members than anything means', `{${Array(60_000).fill('"a":0').join(',')}}`, 'body_too_many'],
  ['an empty batch', '[]', 'batch_size'],
  ['a batch of 51', `[${Array(51).fill(LIST).join(',')}]`, 'batch_size'],
  ['a batch within a batch', `[[${LIST}]]`, 'message_form'],
  ['a batch with nothing in the middle', `[${LIST},null,${LIST}]`, 'message_form'],
  ['JSON that is no message', '"tools/list"', 'message_form'],
  ['a number', '1', 'message_form'],
  ['null', 'null', 'message_form'],
  ['true', 'true', 'message_form'],
  ['an empty object', '{}', 'message_form'],
  ['a message without a method', '{"jsonrpc":"2.0","id":1,"params":{"name":"delete_note"}}', 'message_form'],
  ['a method that is empty', '{"jsonrpc":"2.0","id":1,"method":""}', 'message_form'],
  ['a method that is null, beside a result', '{"jsonrpc":"2.0","id":1,"method":null,"result":{}}', 'message_form'],
  ['a method that is a number', '{"jsonrpc":"2.0","id":1,"method":1}', 'message_form'],
  ['a method that is a list', '{"jsonrpc":"2.0","id":1,"method":["tools/call"]}', 'message_form'],
  ['a method in the prototype', '{"jsonrpc":"2.0","id":1,"__proto__":{"method":"tools/list"}}', 'message_form'],
  ['a method in another case', '{"jsonrpc":"2.0","id":1,"Method":"tools/list"}', 'message_form'],
  ['a call without params', '{"jsonrpc":"2.0","id":1,"method":"tools/call"}', 'tool_name'],
  [
    'a call whose params are a list',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["delete_note"]}',
    'tool_name',
  ],
  ['a call whose params are null', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":null}', 'tool_name'],
  ['a call of a tool without a name', calling(''), 'tool_name'],
  ['a call of a tool that is a number', calling(1), 'tool_name'],
  ['a call of a tool that is a list', calling(['list_recordings', 'delete_note']), 'tool_name'],
  ['a call of a tool that is an object', calling({ toString: 'delete_note' }), 'tool_name'],
];

/** Bodies that write, as somebody might hide it; all of them by a token that reads. */
const WRITING_BODIES: readonly (readonly [name: string, body: string])[] = [
  [
    'in letters that are escaped',
    '{"jsonrpc":"2.0","id":1,"\\u006dethod":"tools\\u002fcall","params":{"n\\u0061me":"delete\\u005fnote"}}',
  ],
  ['by the second of two methods', `{"jsonrpc":"2.0","id":1,"method":"tools/list",${WRITE.slice(1)}`],
  [
    'by the second of two names',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_notes","name":"delete_note"}}',
  ],
  [
    'by the second of two params',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_notes"},"params":{"name":"delete_note"}}',
  ],
  ['beside a result, as if it were an answer', `{"result":{},${WRITE.slice(1)}`],
  ['beside an error, as if it were an answer', `{"error":{"code":1,"message":""},${WRITE.slice(1)}`],
  [
    'without an id, as if it were a notification',
    '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"delete_note"}}',
  ],
  ['as the last of fifty', `[${[...Array(49).fill(LIST), WRITE].join(',')}]`],
  ['beside what nobody knows (G12)', `[${calling('get_stuff.delete_all')},${WRITE}]`],
  ['behind a mark of the byte order', `\ufeff${WRITE}`],
  ['in an older version of JSON-RPC', '{"id":1,"method":"tools/call","params":{"name":"delete_note"}}'],
  ['by a tool whose name tells nothing', calling('batch')],
  ['by a tool that is named in one word', calling('tag')],
  ['by putting away', calling('archive_note')],
  ['by moving on', calling('process_task')],
];

export async function badBodies(context: BadRequestContext): Promise<BadRequest[]> {
  const row = rowsOf(context, `Bearer ${await changed(context, {})}`);
  return [
    ...WRONG_BODIES.map(([name, body, code]) => row(name, { body, ...WRONG, code })),
    ...WRITING_BODIES.map(([name, body]) => row(`a reading token that writes ${name}`, { body, ...FORBIDDEN })),
    row('a body of more than a megabyte', {
      body: LIST + ' '.repeat(1024 * 1024),
      status: 413,
      code: 'body_too_large',
    }),
  ];
}

/** `/` as C0 AF, which a lax decoder takes for it. */
function overlong(text: string): Uint8Array {
  const [before = '', after = ''] = text.split('/');
  return Buffer.concat([Buffer.from(before), Buffer.from([0xc0, 0xaf]), Buffer.from(after)]);
}
