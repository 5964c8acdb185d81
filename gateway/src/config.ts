import {
  BANK_ID_PATTERN,
  databaseUrlSchema,
  frontDoorSchema,
  keySchema,
  logLevelSchema,
  namespacesSchema,
  portSchema,
  REQUEST_BODY_MAX_BYTES,
  SCOPES,
  type Scope,
  TOKEN_TYPE,
  wholeNumber,
} from '@bankhouse/core';
import { z } from 'zod';

/** Signature algorithms that an issuer may be allowed (RFC 7518, RFC 8037, RFC 9864); never a symmetric one, never none. */
export const ALGORITHMS = [
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
] as const;

/** What a foreign issuer can give at most: the operator's handshake is our own issuer's alone. */
const FOREIGN_SCOPES = ['mcp:read', 'mcp:write'] as const satisfies readonly Scope[];

const NAMESPACE = '[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?';
const TRUSTED_BANK = new RegExp(`^${NAMESPACE}/(\\*|${BANK_ID_PATTERN.source.replace(/^\^|\$$/g, '')})$`);

const issuerSchema = z.strictObject({
  /** Compared with `iss` character by character. */
  issuer: z.string().min(1),
  jwksUrl: z.string().refine((value) => URL.canParse(value) && value.startsWith('http'), 'must be an http(s) URL'),
  algorithms: z
    .array(z.enum(ALGORITHMS))
    .min(1)
    .default([...ALGORITHMS]),
  /** Accepted `typ`, without regard to case or a leading `application/`. Some providers sign access tokens as `JWT`. */
  types: z.array(z.string().min(1)).min(1).default([TOKEN_TYPE]),
  /**
   * What a token without `vault_ids` opens: `all` vaults of its bank, or, with `claim`, none. A `vault_ids` claim limits in
   * both cases. Default: `all` for our own issuer, `claim` for any other.
   */
  vaults: z.enum(['claim', 'all']).optional(),
  /**
   * The banks that a foreign issuer is trusted for, as `<namespace>/<id>`, or `<namespace>/*` for all of one namespace. An id alone would
   * be anybody's: it may pass to a Bank of another namespace. Our own issuer is trusted for all.
   */
  banks: z.array(z.string().regex(TRUSTED_BANK, 'it must be <namespace>/<bank id> or <namespace>/*')).min(1).optional(),
  /** Scopes that a foreign issuer can give; what else its tokens have means nothing. */
  scopes: z.array(z.enum(FOREIGN_SCOPES)).min(1).optional(),
});

/** An issuer with every default decided; `banks` undefined: all. */
export type IssuerConfig = Readonly<
  Omit<z.infer<typeof issuerSchema>, 'vaults' | 'scopes'> & { vaults: 'claim' | 'all'; scopes: readonly Scope[] }
>;

const ISSUERS_FORM =
  'a JSON list of {"issuer","jwksUrl","algorithms"?,"types"?,"vaults"?: "claim"|"all","banks": ["namespace/id"|"namespace/*"],"scopes"?}';

const issuersSchema = z
  .string()
  .transform((text, context) => {
    const parsed = z.array(issuerSchema).min(1).safeParse(parseJson(text));
    if (parsed.success && new Set(parsed.data.map((entry) => entry.issuer)).size === parsed.data.length)
      return parsed.data;
    const [issue] = parsed.error?.issues ?? [];
    const where =
      issue === undefined ? 'an issuer is named twice' : `at ${issue.path.join('.') || 'the top'}: ${issue.message}`;
    context.addIssue({ code: 'custom', message: `it must be ${ISSUERS_FORM}; ${where}` });
    return z.NEVER;
  })
  .describe(`name at least one issuer, as ${ISSUERS_FORM}`);

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const originsSchema = z
  .string()
  .transform((text) => text.split(',').map((origin) => origin.trim()))
  .refine((origins) => origins.every((origin) => URL.canParse(origin) && new URL(origin).origin === origin), {
    message: 'it must be origins such as https://app.example.com, separated by commas',
  });

const fieldsSchema = z.object({
  LOG_LEVEL: logLevelSchema,
  PORT: portSchema.default(8080),
  ADMIN_PORT: portSchema.default(9090),
  FRONT_DOOR_URL: frontDoorSchema,
  ROOT_KEY: keySchema,
  /** Whose Banks this gateway serves; empty: all. */
  WATCH_NAMESPACES: namespacesSchema,
  DATABASE_URL: databaseUrlSchema,
  DATABASE_PASSWORD: z.string().optional(),
  TRUSTED_ISSUERS: issuersSchema,
  ALLOWED_ORIGINS: originsSchema.default([]),
  /** Without a confirmed revocation feed for so long, calls are refused (R1.4). */
  REVOCATION_MAX_STALENESS_SECONDS: wholeNumber(2, 3600).default(10),
  /** More than a bank server takes is of no use to anybody. */
  MAX_BODY_BYTES: wholeNumber(1024, REQUEST_BODY_MAX_BYTES).default(REQUEST_BODY_MAX_BYTES),
  /** Bodies and waiting answers of all calls together; a bank can hold a quarter of it, one caller an eighth. */
  MEMORY_BUDGET_BYTES: wholeNumber(8 * REQUEST_BODY_MAX_BYTES, 2 ** 40).default(128 * REQUEST_BODY_MAX_BYTES),
  MAX_CONCURRENT_PER_BANK: wholeNumber(1, 100_000).default(256),
  MAX_CONCURRENT_PER_SUBJECT: wholeNumber(1, 100_000).default(64),
  /** Streams (GET, subscriptions/listen) are counted apart from calls. */
  MAX_STREAMS_PER_BANK: wholeNumber(1, 100_000).default(1024),
  MAX_STREAMS_PER_SUBJECT: wholeNumber(1, 100_000).default(64),
  /** For so long a client may take nothing of an answer that is there for it. */
  SLOW_READER_SECONDS: wholeNumber(1, 3600).default(30),
  /** How long a call waits for an address of its bank that takes the connection. */
  WAKE_DEADLINE_MS: wholeNumber(0, 600_000).default(5_000),
  /** How long a bank server may take until its answer's first byte. */
  UPSTREAM_HEADERS_SECONDS: wholeNumber(1, 3600).default(120),
  /** How long a bank server may be silent within an answer; streams send keep-alive comments more often than this. */
  UPSTREAM_IDLE_SECONDS: wholeNumber(1, 3600).default(300),
});

export const configSchema = fieldsSchema.superRefine(({ TRUSTED_ISSUERS, FRONT_DOOR_URL }, context) => {
  for (const { issuer, banks, scopes } of TRUSTED_ISSUERS) {
    const isOwn = issuer === FRONT_DOOR_URL;
    if (isOwn && (banks !== undefined || scopes !== undefined)) {
      const message = `our own issuer ${issuer} is trusted for every bank and scope; leave banks and scopes out`;
      context.addIssue({ code: 'custom', path: ['TRUSTED_ISSUERS'], message });
    }
    if (!isOwn && banks === undefined) {
      const message = `the issuer ${issuer} must name the banks that it is trusted for: "banks": ["namespace/id" or "namespace/*"]`;
      context.addIssue({ code: 'custom', path: ['TRUSTED_ISSUERS'], message });
    }
  }
});

export type GatewayConfig = z.infer<typeof configSchema>;

/** The issuers with every default decided. */
export function issuersOf(config: Pick<GatewayConfig, 'TRUSTED_ISSUERS' | 'FRONT_DOOR_URL'>): IssuerConfig[] {
  return config.TRUSTED_ISSUERS.map((entry) => {
    const isOwn = entry.issuer === config.FRONT_DOOR_URL;
    return {
      ...entry,
      vaults: entry.vaults ?? (isOwn ? 'all' : 'claim'),
      scopes: entry.scopes ?? (isOwn ? SCOPES : FOREIGN_SCOPES),
    };
  });
}
