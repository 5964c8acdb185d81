import { createPrivateKey, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import {
  databaseServersVariables,
  databaseUrlSchema,
  frontDoorSchema,
  logLevelSchema,
  portSchema,
} from '@bankhouse/core';
import { z } from 'zod';

const bearerKeySchema = z
  .string()
  .regex(/^[\x21-\x7e]{32,1024}$/, 'it must have 32 to 1024 printable ASCII characters without spaces');

const signingKeySchema = z
  .string()
  .transform((pem, context): KeyObject => {
    try {
      const key = createPrivateKey(pem);
      if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return key;
    } catch {
      // Falls through to the one sentence: what OpenSSL says of a wrong PEM helps nobody, and may quote it.
    }
    context.addIssue({ code: 'custom', message: 'it must be an EC P-256 private key as PEM (PKCS #8 or SEC 1)' });
    return z.NEVER;
  })
  .describe('give an EC P-256 private key as PEM (openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256)');

const isNetwork = (text: string) => {
  const [address = '', bits, ...more] = text.split('/');
  const family = isIP(address);
  const isLength = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
  return family !== 0 && more.length === 0 && isLength;
};

const networksSchema = z
  .string()
  .transform((text) => text.split(',').map((network) => network.trim()))
  .refine((networks) => networks.every(isNetwork), {
    message: 'it must be addresses or networks such as 10.0.0.0/8, separated by commas',
  });

export const configSchema = z.object({
  LOG_LEVEL: logLevelSchema,
  PORT: portSchema.default(8080),
  /** Where what takes the admin key is; nothing from outside the cluster is routed there. */
  ADMIN_API_PORT: portSchema.default(8081),
  /** Probes and metrics. */
  ADMIN_PORT: portSchema.default(9090),
  /** Proxies whose X-Forwarded-For is believed, for counting wrong credentials by client. */
  TRUSTED_PROXIES: networksSchema.default([]),
  /** Public origin: the issuer of our tokens, and the front of every bank's URL. */
  FRONT_DOOR_URL: frontDoorSchema,
  DATABASE_URL: databaseUrlSchema,
  DATABASE_PASSWORD: z.string().optional(),
  SIGNING_KEY: signingKeySchema,
  ADMIN_KEY: bearerKeySchema.describe('give the admin key: 32 random characters or more'),
  VERIFIER_KEY: bearerKeySchema.describe("give the operator's verifier key: 32 random characters or more"),
});

export type ControlConfig = z.infer<typeof configSchema>;

const passwordSchema = z.string().min(8, 'it must have at least 8 characters');

export const migrateConfigSchema = z.object({
  LOG_LEVEL: logLevelSchema,
  DATABASE_URL: databaseUrlSchema,
  DATABASE_PASSWORD: z.string().optional(),
  OPERATOR_PASSWORD: passwordSchema.optional(),
  CONTROL_PASSWORD: passwordSchema.optional(),
  GATEWAY_PASSWORD: passwordSchema.optional(),
  MIGRATIONS_DIR: z.string().default('migrations'),
  /** Parts of the migrations that this database has: a database for banks of their own has the tenants' alone. */
  MIGRATION_PARTS: z
    .string()
    .regex(/^[a-z]+(,[a-z]+)*$/, 'it must be names of folders with commas between them, as tenants,control')
    .default('tenants,control')
    .transform((names) => names.split(',')),
  /** How long to wait for the database, in seconds. */
  WAIT_SECONDS: z.coerce
    .number({ error: 'it must be a number of seconds' })
    .min(0, 'it must not be negative')
    .default(60),
});

export const databasesConfigSchema = migrateConfigSchema
  .pick({ LOG_LEVEL: true, DATABASE_URL: true, DATABASE_PASSWORD: true, MIGRATIONS_DIR: true, OPERATOR_PASSWORD: true })
  .extend({
    ...databaseServersVariables,
    /** Probes and metrics. */
    ADMIN_PORT: portSchema.default(9090),
  });

export type DatabasesConfig = z.infer<typeof databasesConfigSchema>;
