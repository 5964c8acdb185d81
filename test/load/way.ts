/**
 * A process of test/load/gateway.ts, gateway-memory.ts and hostile-run.ts, each with one server on a port that it tells its parent: `echo`, the bank's
 * pod; `bank`, the same with long answers and streams; `quiet`, one whose streams say nothing; `bare`, which passes on by node:http and undici and
 * does nothing else; `gateway`, ours without cluster and database. It ends with its parent.
 */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createLogger, createRegistry, loadConfig, MCP_HEADERS } from '@bankhouse/core';
import { assembleGateway, configSchema, Revocations, readBank, readPod } from '@bankhouse/gateway';
import { type Dispatcher, Pool } from 'undici';
import { bankObject, podObject } from '../harness/routed.ts';
import { ANSWER, BANK, FRONT_DOOR, LARGE, LARGE_BYTES, OTHER_BANK } from './ways.ts';

const LOOPBACK = '127.0.0.1';
/** As a bank's server: longer than the gateway keeps what is idle, however busy the machine is. */
const KEEP_ALIVE_MS = 600_000;

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, listener);
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, LOOPBACK, resolve);
  await promise;
  return (server.address() as AddressInfo).port;
}

function runEcho(): Promise<number> {
  return serve((request, response) => {
    request.resume().on('end', () => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': ANSWER.length });
      response.end(ANSWER);
    });
  });
}

/** An event stream goes on for as long as it is taken. */
function runBank(): Promise<number> {
  const large = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, result: { text: 'x'.repeat(LARGE_BYTES) } }));
  const events = `data: ${'x'.repeat(1_000)}\n\n`.repeat(16);
  return serve((request, response) => {
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const write = () => {
        while (response.write(events));
      };
      response.on('drain', write);
      write();
      return;
    }
    request.resume().on('end', () => {
      const answer = request.headers[MCP_HEADERS.name] === LARGE ? large : ANSWER;
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length }).end(answer);
    });
  });
}

/** Whatever is asked, it opens a stream on which nothing happens. */
function runQuiet(): Promise<number> {
  return serve((request, response) => {
    request.resume().on('end', () => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': open\n\n');
    });
  });
}

/** As little as passing on can be: the body read whole, one dispatch, the answer written as it comes. */
function runBare(echoPort: number): Promise<number> {
  const pool = new Pool(`http://${LOOPBACK}:${echoPort}`);
  return serve((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const { method, url = '/', rawHeaders } = request;
      const headers = rawHeaders.filter((_, at) => !isHopByHop(rawHeaders[at - (at % 2)] ?? ''));
      pool.dispatch(
        { method: method as Dispatcher.HttpMethod, path: url, headers, body: Buffer.concat(parts) },
        passOn(request, response),
      );
    });
  });
}

const isHopByHop = (name: string) => /^(connection|keep-alive|host|content-length|transfer-encoding)$/i.test(name);

function passOn(request: IncomingMessage, response: ServerResponse): Dispatcher.DispatchHandler {
  return {
    onRequestStart() {},
    onResponseStart(_controller, status, headers) {
      response.writeHead(status, headers);
    },
    onResponseData(controller, chunk) {
      if (response.write(chunk)) return;
      controller.pause();
      response.once('drain', () => controller.resume());
    },
    onResponseEnd: () => void response.end(),
    onResponseError: () => void request.destroy(),
  };
}

/** @param moreBanks known besides the two, all at the same address */
async function runGateway(echoPort: number, jwksUrl: string, moreBanks: number): Promise<number> {
  const config = loadConfig(configSchema, {
    FRONT_DOOR_URL: FRONT_DOOR,
    ROOT_KEY: Buffer.alloc(32, 7).toString('base64'),
    DATABASE_URL: 'postgres://nobody@localhost/nothing',
    TRUSTED_ISSUERS: JSON.stringify([{ issuer: FRONT_DOOR, jwksUrl }]),
  });
  const revocations = new Revocations(Number.POSITIVE_INFINITY);
  // The real logger at its real level, to a standard output that leads nowhere: what is measured includes writing the audit record.
  const logger = createLogger({ component: 'gateway', level: 'info', gatherMs: 100 });
  const registry = createRegistry('gateway');
  const { gateway, table, start } = assembleGateway({ config, revocations, registry, logger, podPort: echoPort });
  revocations.confirm(performance.now());
  const more = Array.from({ length: moreBanks }, (_, at) => `bank-${at}`);
  for (const id of [BANK, OTHER_BANK, ...more]) {
    table.setBank(`banks/${id}`, readBank(bankObject(id)));
    table.setPod(`banks/${id}`, readPod(podObject(id, LOOPBACK)));
  }
  await start();
  return gateway.listen(0, LOOPBACK);
}

function run(role: string | undefined, echoPort: number, jwksUrl: string, moreBanks: number): Promise<number> {
  switch (role) {
    case 'echo':
      return runEcho();
    case 'bank':
      return runBank();
    case 'quiet':
      return runQuiet();
    case 'bare':
      return runBare(echoPort);
    case 'gateway':
      return runGateway(echoPort, jwksUrl, moreBanks);
    default:
      throw new Error('test/load/ways.ts starts this.');
  }
}

process.on('disconnect', () => process.exit());
const [role, echoPort, jwksUrl = '', moreBanks = '0'] = process.argv.slice(2);
process.send?.(await run(role, Number(echoPort), jwksUrl, Number(moreBanks)));
