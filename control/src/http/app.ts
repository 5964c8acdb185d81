import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Logger } from '@bankhouse/core';
import swagger from '@fastify/swagger';
import Fastify, { type ConnectionError, type FastifyBaseLogger, type FastifyReply, LogController } from 'fastify';
import {
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';
import { failure } from '../errors.ts';
import { type Answer, answerFor } from './answers.ts';
import { bankRoutes } from './banks.ts';
import { issuerRoutes } from './issuer.ts';
import { receiptRoutes } from './receipts.ts';
import { revocationRoutes } from './revocations.ts';
import type { App, Door, Services } from './services.ts';
import { mintRoute } from './tokens.ts';

/** The largest request that means anything here has a hundred vaults of forty characters. */
export const BODY_LIMIT_BYTES = 16 * 1024;
const LIMITS = { bodyBytes: BODY_LIMIT_BYTES };
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
const NOTHING_HERE: Record<Door, string> = {
  public:
    "There is nothing at this path; /v1/openapi.json lists what there is. What takes the admin key is at control's own port for it (Service port admin-api).",
  admin: 'There is nothing at this path; /v1/openapi.json lists what there is.',
};

/**
 * One of control's two doors, not yet listening:
 *
 * | door   | who reaches it                          | what it has                                                                   |
 * |--------|-----------------------------------------|-------------------------------------------------------------------------------|
 * | public | the front door's routes, and the cluster | keys of the issuer, a token's own bank; for the operator inside, its handshake |
 * | admin  | whom a network policy lets in           | everything that takes the admin key, which is worth nothing at the other one   |
 */
export async function createApp(door: Door, services: Services): Promise<App> {
  const app = Fastify({
    // The admin's door has no proxy in front of it, and believes nobody's word for an address.
    trustProxy: door === 'public' && services.trustedProxies.length > 0 ? [...services.trustedProxies] : false,
    loggerInstance: services.log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: 10_000,
    connectionTimeout: 30_000,
    keepAliveTimeout: 75_000,
    genReqId: () => randomUUID(),
    clientErrorHandler: (error, socket) => answerBrokenHttp(error, socket),
    frameworkErrors: (error, _request, reply) => {
      sendAnswer(reply as unknown as FastifyReply, answerFor(error, services.log, LIMITS));
    },
  }).withTypeProvider<ZodTypeProvider>() as unknown as App;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);

  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id).header('cache-control', 'no-store');
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown';
    services.metrics.duration.observe(
      { method: request.method, route, status: String(reply.statusCode) },
      reply.elapsedTime / 1000,
    );
  });
  app.setErrorHandler((error, request, reply) => {
    sendAnswer(reply as unknown as FastifyReply, answerFor(error, request.log as Logger, LIMITS));
  });
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? '';
    const takes = METHODS.filter((method) => app.findRoute({ method, url: path }) !== null);
    if (takes.length > 0) {
      const sentence = `${path} does not take ${request.method}; it takes ${takes.join(' and ')}.`;
      return reply.code(405).header('allow', takes.join(', ')).send(failure('method_not_allowed', sentence));
    }
    return reply.code(404).send(failure('not_found', NOTHING_HERE[door]));
  });

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: door === 'admin' ? "Bankhouse control, the admin's door" : 'Bankhouse control',
        version: '1',
        description: 'Tokens, the banks they are for, and receipts of deletions.',
      },
      ...(door === 'admin' ? {} : { servers: [{ url: services.frontDoor }] }),
      components: {
        securitySchemes: { key: { type: 'http', scheme: 'bearer', description: "The admin key, or a bank's token." } },
      },
    },
    transform: jsonSchemaTransform,
  });
  await app.register(async (scope) => {
    const typed = scope as unknown as App;
    mintRoute(typed, services, door === 'admin' ? ['admin', 'verifier'] : ['verifier']);
    bankRoutes(typed, services, door === 'admin' ? ['admin', 'token'] : ['token']);
    if (door === 'public') issuerRoutes(typed, services);
    else {
      revocationRoutes(typed, services);
      receiptRoutes(typed, services);
    }
  });
  app.get('/v1/openapi.json', { schema: { hide: true } }, () => app.swagger());
  return app;
}

function sendAnswer(reply: FastifyReply, answer: Answer): FastifyReply {
  return reply.code(answer.status).headers(answer.headers).send(answer.body);
}

/** What is no HTTP request still gets the one form of answer, and then the connection ends. */
function answerBrokenHttp(error: ConnectionError, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy(error);
    return;
  }
  const [status, body] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ([
          '431 Request Header Fields Too Large',
          failure('headers_too_large', 'The headers are too large; send less.'),
        ] as const)
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? (['408 Request Timeout', failure('timeout', 'The request did not arrive in time.')] as const)
        : (['400 Bad Request', failure('invalid_http', 'This is not a valid HTTP/1.1 request.')] as const);
  const text = JSON.stringify(body);
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
  );
}
