import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Counter, Histogram, Logger } from '@bankhouse/core';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Database } from '../database/pool.ts';
import type { Minter } from '../issuer/grant.ts';
import type { Signer } from '../issuer/signer.ts';
import type { FailureLimit } from './failure-limit.ts';

export type Door = 'public' | 'admin';

/** What the routes work with; everything that has an effect is passed in. */
export interface Services {
  frontDoor: string;
  database: Database;
  signer: Signer;
  /** @param digest of the credential */
  checkKey: (digest: Buffer) => Minter | undefined;
  failures: FailureLimit;
  /** Addresses and networks whose X-Forwarded-For is believed. */
  trustedProxies: readonly string[];
  /** Seconds since 1970. */
  now: () => number;
  /** At least 128 random bits, URL-safe. */
  newTokenId: () => string;
  log: Logger;
  metrics: ControlMetrics;
}

export interface ControlMetrics {
  /** By method, route and status; in seconds. */
  duration: Histogram;
  minted: Counter;
  /** Requests with a wrong key or token. */
  refused: Counter;
}

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse<IncomingMessage>,
  FastifyBaseLogger,
  ZodTypeProvider
>;
