import {
  databaseServersVariables,
  databaseUrlSchema,
  embeddingsVariables,
  frontDoorSchema,
  logLevelSchema,
  namespacesSchema,
  portSchema,
  rootKeysSchema,
  wholeNumber,
} from '@bankhouse/core';
import { z } from 'zod';

const peerSchema = z.union([
  z.strictObject({ cidr: z.string(), port: z.int().min(1).max(65535) }),
  z.strictObject({
    namespace: z.string().min(1),
    podLabels: z.record(z.string(), z.string()),
    port: z.int().min(1).max(65535),
  }),
]);

/** Somewhere that a bank's pod may connect to: an address range, or pods of a namespace. */
export type EgressPeer = z.infer<typeof peerSchema>;

const peersSchema = z.string().transform((text, context): EgressPeer[] => {
  try {
    return z.array(peerSchema).parse(JSON.parse(text));
  } catch {
    context.addIssue({
      code: 'custom',
      message: 'it must be a JSON list of {"cidr","port"} or {"namespace","podLabels","port"}',
    });
    return z.NEVER;
  }
});

const urlSchema = (description: string) =>
  z
    .string()
    .refine((value) => URL.canParse(value) && value.startsWith('http'), { message: 'it must be an http or https URL' })
    .transform((value) => value.replace(/\/+$/, ''))
    .describe(description);

const DEFAULT_DNS = '[{"namespace":"kube-system","podLabels":{"k8s-app":"kube-dns"},"port":53}]';

export const configSchema = z.object({
  /** Name of the operator's own Deployment, for `release`. */
  OPERATOR_DEPLOYMENT: z.string().min(1).default('bankhouse-operator'),
  LOG_LEVEL: logLevelSchema,
  ADMIN_PORT: portSchema.default(9090),
  FRONT_DOOR_URL: frontDoorSchema,
  /** host:port that is really connected to; the TLS name stays the URL's. */
  FRONT_DOOR_CONNECT: z
    .string()
    .regex(/^[^:/]+:[0-9]+$/, 'it must have the form HOST:PORT')
    .optional(),
  /** PEM. */
  FRONT_DOOR_CA: z.string().startsWith('-----BEGIN', 'it must be a PEM certificate').optional(),
  ROOT_KEY: rootKeysSchema,
  DATABASE_URL: databaseUrlSchema,
  DATABASE_PASSWORD: z.string().optional(),
  CONTROL_URL: urlSchema('give the URL of the control service, such as http://bankhouse-control'),
  VERIFIER_KEY: z.string().min(16, 'it must have at least 16 characters').describe("give control's verifier key"),
  SERVER_IMAGE: z.string().min(1).describe('give the image of the bank server'),
  /** Whose Banks this operator serves; empty: all. It then has no rights beyond them, but reads classes. */
  WATCH_NAMESPACES: namespacesSchema,
  PLATFORM_NAMESPACE: z.string().min(1).describe('give the namespace that the platform is installed in'),
  /** Banks of a class with `database.isolation: dedicated` get a database of their own; else they are refused. */
  DEDICATED_DATABASES: z
    .enum(['true', 'false'], { error: 'it must be true or false' })
    .default('false')
    .transform((value) => value === 'true'),
  /** Whether sessions of banks' roles that say what no bank server of this release or an earlier one says are ended. */
  WATCH_STATEMENTS: z
    .enum(['true', 'false'], { error: 'it must be true or false' })
    .default('true')
    .transform((value) => value === 'true'),
  DATABASE_EGRESS: peersSchema.describe(
    'say where bank pods reach Postgres, as a JSON list of {"cidr","port"} or {"namespace","podLabels","port"}',
  ),
  ...databaseServersVariables,
  /** By the server's name, as DATABASE_EGRESS. */
  DATABASE_SERVERS_EGRESS: z
    .string()
    .default('{}')
    .transform((text, context): Record<string, EgressPeer[]> => {
      try {
        return z.record(z.string(), z.array(peerSchema)).parse(JSON.parse(text));
      } catch {
        context.addIssue({
          code: 'custom',
          message: 'it must be JSON, lists as DATABASE_EGRESS by name of the server',
        });
        return z.NEVER;
      }
    }),
  DNS_EGRESS: peersSchema.default(JSON.parse(DEFAULT_DNS) as EgressPeer[]),
  ...embeddingsVariables,
  /** Of the endpoint for embeddings; goes into the Secret of every bank that uses it. */
  EMBEDDINGS_KEY: z
    .string()
    .trim()
    .regex(/^[\x21-\x7e]{1,4096}$/, 'it must be one line of printable ASCII characters without blanks')
    .optional(),
  EMBEDDINGS_EGRESS: peersSchema.optional(),
  /** Passes at a time; most of a pass is waiting. */
  WORKERS: wholeNumber(1, 64).default(16),
  DATABASE_CONNECTIONS: wholeNumber(1, 64).default(4),
  VERIFY_EVERY_SECONDS: wholeNumber(10, 86400).default(600),
  LEASE_NAME: z.string().min(1).default('bankhouse-operator'),
  POD_NAME: z.string().min(1).optional(),
});

export type OperatorConfig = z.infer<typeof configSchema>;
