/** What clients of many makes send and expect on the wire. */
import { expect } from 'vitest';
import { BOTH, initialize, LIST, MODERN, OLDER, type Report, VAULTS } from './bank.ts';

const taken = (accept: string | undefined, source: string): Report => ({
  holds: `a call with ${accept === undefined ? 'no Accept at all' : `Accept: ${accept}`} is answered by JSON`,
  fault: 'P1',
  source,
  async check(bank) {
    const headers = { authorization: `Bearer ${await bank.token()}`, 'content-type': 'application/json' };
    for (const message of [initialize('2025-06-18'), LIST, VAULTS]) {
      const given = accept === undefined ? headers : { ...headers, accept };
      const {
        status,
        headers: told,
        json,
      } = await bank.send('POST', { headers: given, body: JSON.stringify(message) });
      expect([status, told['content-type']]).toEqual([200, 'application/json']);
      expect(json.result).toBeDefined();
    }
  },
});

const accepted = (what: string, message: object, source: string): Report => ({
  holds: `${what} is answered by 202 with nothing in it, and no type of nothing`,
  source,
  async check(bank) {
    for (const headers of [await bank.begin(), {}]) {
      const { status, headers: told, body } = await bank.post(message, headers);
      expect([status, body, told['content-type']]).toEqual([202, '', undefined]);
    }
  },
});

const sameId = (id: unknown, source: string): Report => ({
  holds: `an answer, and an error, has the id ${JSON.stringify(id)} as the request had it`,
  source,
  async check(bank) {
    for (const message of [LIST, { ...LIST, method: 'tools/destroy' }, { ...VAULTS, params: { name: 'get_rich' } }]) {
      const { json } = await bank.post({ ...message, id });
      expect(json.id).toBe(id);
    }
  },
});

const withParams = (what: string, message: object, source: string): Report => ({
  holds: `${what} is as good as an empty object`,
  fault: 'T4',
  source,
  async check(bank) {
    const { status, json, body } = await bank.post(message);
    expect([status, json?.result === undefined ? body : 'a result']).toEqual([200, 'a result']);
  },
});

const { params: _, ...bareList } = LIST;

export const TRANSPORT: readonly Report[] = [
  taken('*/*', 'XS-MLVP/UCAgent#127'),
  taken(undefined, 'f/mcptools#69'),
  taken('application/json', 'modelcontextprotocol/typescript-sdk#1944'),
  taken('application/json, text/event-stream', 'simonx1/ruby-mcp-client#29'),
  taken('text/event-stream, application/json', 'gts360/django-mcp-server#35'),
  taken('application/json;q=0.9, */*;q=0.1', 'bh-rat/context-awesome#11'),
  accepted(
    'notifications/initialized',
    { jsonrpc: '2.0', method: 'notifications/initialized' },
    'alexandre-schaffner/revv#145',
  ),
  accepted(
    'a notification that nobody knows',
    { jsonrpc: '2.0', method: 'notifications/of/somebody' },
    'awslabs/mcp#483',
  ),
  accepted(
    'the cancellation of a request that is over',
    { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 99, reason: 'too slow' } },
    'oramasearch/oramacore#335',
  ),
  accepted("a client's answer", { jsonrpc: '2.0', id: 5, result: {} }, 'helidon-io/helidon-mcp#175'),
  sameId('req-123', 'WordPress/mcp-adapter#143'),
  sameId('1', 'modelcontextprotocol/python-sdk#961'),
  sameId(0, 'radareorg/radare2-mcp#68'),
  sameId('0b9e3c1a-0000-4000-8000-000000000001', 'DeusData/codebase-memory-mcp#253'),
  withParams('params: null', { ...LIST, params: null }, 'lizqwerscott/mcp.el#85'),
  withParams('a list without params', bareList, 'chaitin/MonkeyCode#1268'),
  withParams(
    'arguments: null',
    { ...VAULTS, params: { name: 'list_vaults', arguments: null } },
    'modelcontextprotocol/typescript-sdk#2012',
  ),
  withParams('a call without arguments', { ...VAULTS, params: { name: 'list_vaults' } }, 'justrach/codedb#10'),
  withParams(
    'arguments beside a token for progress that nobody needs',
    { ...VAULTS, params: { ...VAULTS.params, _meta: { progressToken: 'p-1', 'example.com/trace': { a: [1] } } } },
    'chaitin/MonkeyCode#1268',
  ),
  {
    holds: 'arguments that are text or a list are answered by what is wrong, and not as if the server had broken',
    fault: 'T4',
    source: 'ramimbo/mergework#93',
    async check(bank) {
      for (const args of ['{}', [], 7]) {
        const { status, json } = await bank.post({ ...VAULTS, params: { name: 'list_vaults', arguments: args } });
        expect([status, json.error.code]).toEqual([200, -32602]);
        expect(json.error.message).toContain('arguments');
      }
    },
  },
  {
    holds: 'initialize with a revision of the future is answered by the newest that a handshake is for, not by 400',
    source: 'Graylog2/graylog2-server#24701',
    async check(bank) {
      const { status, json } = await bank.post(initialize('2031-01-01'));
      expect([status, json.result.protocolVersion]).toEqual([200, '2025-11-25']);
    },
  },
  {
    holds:
      'initialize whose header names the revision that it offers is answered, for every one of the older revisions',
    source: 'xpzouying/xiaohongshu-mcp#697',
    async check(bank) {
      for (const revision of OLDER) {
        const { status, json } = await bank.post(initialize(revision), { 'mcp-protocol-version': revision });
        expect([status, json.result.protocolVersion]).toEqual([200, revision]);
      }
    },
  },
  {
    holds: 'a client of each older revision is answered in its own',
    source: 'punkpeye/mcp-remote#66',
    async check(bank) {
      for (const revision of OLDER) {
        const { json } = await bank.post(initialize(revision));
        expect(json.result.protocolVersion).toBe(revision);
        expect((await bank.post(VAULTS, await bank.begin(revision))).json.result.isError ?? false).toBe(false);
      }
    },
  },
  {
    holds:
      'a revision that was never made is refused by 400 in a header, and the answer says which there are, or which is none',
    source: 'modelcontextprotocol/php-sdk#306',
    async check(bank) {
      for (const [revision, said] of [
        ['1900-01-01', '2025-11-25'],
        ['not-a-version', 'not-a-version'],
      ] as const) {
        const { status, body } = await bank.post(LIST, { ...(await bank.begin()), 'mcp-protocol-version': revision });
        expect([status, body]).toEqual([400, expect.stringContaining(said)]);
      }
    },
  },
  {
    holds: 'a request without the header of the revision is served as of before there was one',
    source: 'peacprotocol/peac#979',
    async check(bank) {
      const { 'mcp-protocol-version': _revision, ...headers } = await bank.begin('2025-03-26');
      expect((await bank.post(VAULTS, headers)).json.result).toBeDefined();
    },
  },
  {
    holds: 'one request is answered by one object, and never by a list of one',
    source: 'Effect-TS/effect#6274',
    async check(bank) {
      for (const message of [initialize('2025-11-25'), LIST, VAULTS]) {
        expect(Array.isArray((await bank.post(message)).json)).toBe(false);
      }
    },
  },
  {
    holds: 'a batch of 2025-03-26 is answered by as many answers, each with its id',
    source: 'modelcontextprotocol/python-sdk#934',
    async check(bank) {
      const headers = await bank.begin('2025-03-26');
      for (const accept of [BOTH, 'application/json', '*/*']) {
        const calls = [
          { ...LIST, id: 'a' },
          { ...VAULTS, id: 2 },
        ];
        const { status, json } = await bank.post(calls, { ...headers, accept });
        expect([status, json.map(({ id }: { id: unknown }) => id).sort()]).toEqual([200, [2, 'a']]);
      }
    },
  },
  {
    holds: 'Content-Type may name a charset, in any case',
    source: 'grafana/mcp-grafana#215',
    async check(bank) {
      for (const type of ['application/json; charset=utf-8', 'application/json;charset=UTF-8', 'Application/JSON']) {
        expect((await bank.post(LIST, { 'content-type': type })).status).toBe(200);
      }
    },
  },
  {
    holds: 'a body that is no JSON by its type is refused by 415',
    source: 'ramimbo/mergework#857',
    async check(bank) {
      for (const type of ['text/plain', 'application/x-www-form-urlencoded']) {
        expect((await bank.post(LIST, { 'content-type': type })).status).toBe(415);
      }
    },
  },
  {
    holds: 'text in any writing, and of more than one unit of UTF-16, comes back as it was written',
    async check(bank) {
      const title = 'Größe 東京 🧾 \u202aرقم\u202c e\u0301';
      const { structured } = await bank.call('create_note', { title });
      expect((await bank.call('get_note', { id: structured.id })).structured.title).toBe(title);
    },
  },
  {
    holds: 'a body behind a mark of the byte order is read',
    async check(bank) {
      expect((await bank.post(`\ufeff${JSON.stringify(LIST)}`)).status).toBe(200);
    },
  },
  {
    holds:
      'GET without a session is 405 with Allow, whatever it accepts: nobody tries it again, and nobody signs in anew',
    source: 'punkpeye/mcp-proxy#62',
    async check(bank) {
      const authorization = `Bearer ${await bank.token()}`;
      for (const accept of ['text/event-stream', '*/*', BOTH]) {
        const { status, headers } = await bank.send('GET', { headers: { authorization, accept } });
        expect([status, headers.allow]).toEqual([405, 'POST']);
        expect(headers['www-authenticate']).toBeUndefined();
      }
    },
  },
  {
    holds: 'a GET that takes anything opens the stream of its session',
    fault: 'P1',
    source: 'XS-MLVP/UCAgent#127',
    async check(bank) {
      const stream = await bank.open('GET', { headers: { ...(await bank.begin()), accept: '*/*' } });
      expect([stream.statusCode, stream.headers['content-type']]).toEqual([200, 'text/event-stream']);
      stream.destroy();
    },
  },
  {
    holds: 'no proxy keeps back what a stream says, and its beginning comes at once',
    source: 'sseshachala/conductai#1744',
    async check(bank) {
      const stream = await bank.open('GET', { headers: { ...(await bank.begin()), accept: 'text/event-stream' } });
      expect(stream.headers).toMatchObject({ 'x-accel-buffering': 'no', 'content-type': 'text/event-stream' });
      expect(stream.headers['cache-control']).toMatch(/no-cache|no-store/);
      expect(String((await stream.iterator({ destroyOnReturn: true }).next()).value)).toMatch(
        /^(:|id:|retry:|data:|event:)/,
      );
    },
  },
  {
    holds: 'nor what subscriptions/listen says',
    source: 'modelcontextprotocol/java-sdk#848',
    async check(bank) {
      const headers = {
        authorization: `Bearer ${await bank.token()}`,
        'content-type': 'application/json',
        accept: BOTH,
        'mcp-protocol-version': MODERN,
        'mcp-method': 'subscriptions/listen',
      };
      const _meta = {
        'io.modelcontextprotocol/protocolVersion': MODERN,
        'io.modelcontextprotocol/clientCapabilities': {},
      };
      const params = { notifications: { toolsListChanged: true }, _meta };
      const body = JSON.stringify({ jsonrpc: '2.0', id: 'l', method: 'subscriptions/listen', params });
      const stream = await bank.open('POST', { headers, body });
      expect(stream.headers).toMatchObject({ 'x-accel-buffering': 'no', 'content-type': 'text/event-stream' });
      const first = await stream.iterator({ destroyOnReturn: true }).next();
      expect(String(first.value)).toContain('subscriptions/acknowledged');
    },
  },
  {
    holds: 'a session that is unknown is 404, and neither 400 nor 503, so that clients begin another',
    source: 'DAWNCR0W/affine-mcp-server#301',
    async check(bank) {
      const headers = await bank.begin();
      for (const id of ['0f3d0000-0000-4000-8000-000000000001', 'gone', `${headers['mcp-session-id']}x`]) {
        const { status, json } = await bank.post(VAULTS, { ...headers, 'mcp-session-id': id });
        expect([id, status, json.error.data.code]).toEqual([id, 404, 'session_unknown']);
      }
    },
  },
  {
    holds: 'initialize begins another session also where it names one that is unknown',
    source: 'diegosouzapw/OmniRoute#5957',
    async check(bank) {
      const { status, headers } = await bank.post(initialize('2025-11-25'), {
        'mcp-session-id': 'of-before-the-restart',
      });
      expect([status, String(headers['mcp-session-id'])]).toEqual([200, expect.stringMatching(/^1\./)]);
    },
  },
  {
    holds: 'DELETE ends a session, and what comes in it afterwards is 404',
    source: 'modelcontextprotocol/python-sdk#1676',
    async check(bank) {
      const headers = await bank.begin();
      expect((await bank.send('DELETE', { headers })).status).toBe(204);
      expect((await bank.post(VAULTS, headers)).status).toBe(404);
    },
  },
  {
    holds: 'a method that nobody knows is -32601 with its id, and the next request is served',
    source: 'helidon-io/helidon-mcp#65',
    async check(bank) {
      const headers = await bank.begin();
      for (const method of ['logging/setLevel', 'roots/list', 'skills/list']) {
        const { json } = await bank.post({ jsonrpc: '2.0', id: method, method, params: {} }, headers);
        expect([json.id, json.error.code]).toEqual([method, -32601]);
      }
      expect((await bank.post({ jsonrpc: '2.0', id: 1, method: 'ping' }, headers)).json).toEqual({
        jsonrpc: '2.0',
        id: 1,
        result: {},
      });
    },
  },
];
