import { X509Certificate } from 'node:crypto';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { BankhouseError, messageOf } from '@bankhouse/core';
import { z } from 'zod';
import { readText, type Settings } from './settings.ts';

const TIMEOUT_MS = 15_000;

const answerSchema = z.union([
  z.object({ ok: z.literal(true), data: z.unknown() }),
  z.object({ ok: z.literal(false), error: z.object({ code: z.string(), message: z.string() }) }),
]);

export const mintedSchema = z.object({
  token: z.string(),
  jti: z.string(),
  expiresAt: z.string(),
  url: z.string(),
  scope: z.string(),
  vaults: z.array(z.string()).nullable(),
});
export type Minted = z.infer<typeof mintedSchema>;

const bankSchema = z.object({
  id: z.string(),
  url: z.string(),
  name: z.string(),
  type: z.string(),
  vaults: z.array(z.object({ id: z.string(), displayName: z.string() })),
  role: z.string(),
});
export type ListedBank = z.infer<typeof bankSchema>;
const pageSchema = z.object({ banks: z.array(bankSchema), nextAfter: z.string().nullable() });

const receiptSchema = z.object({
  id: z.number(),
  bank: z.string(),
  uid: z.string(),
  owner: z.string(),
  erasedAt: z.string(),
  tables: z.record(z.string(), z.object({ rows: z.number(), keys: z.string() })),
});
export type ListedReceipt = z.infer<typeof receiptSchema>;
const receiptPageSchema = z.object({ receipts: z.array(receiptSchema), nextBefore: z.number().nullable() });

/** From now on this process also trusts the platform's own CA. */
export function trust(settings: Settings): void {
  if (settings.caFile === undefined) return;
  const pem = readText(settings.caFile, "The CA's certificate");
  try {
    // Not looked at before it is used, and then nobody says which file was wrong.
    new X509Certificate(pem);
    setDefaultCACertificates([...getCACertificates('default'), pem]);
  } catch (error) {
    throw new BankhouseError('ca_file', `${settings.caFile} is no PEM certificate.`, { cause: error });
  }
}

/** The REST API of control (R5.5), as the admin. */
export interface ControlClient {
  mint(request: {
    bank: string;
    vaults?: string[];
    scope?: string;
    ttlSeconds?: number;
    subject?: string;
  }): Promise<Minted>;
  revoke(what: { jti: string } | { token: string }): Promise<{ jti: string; until: string }>;
  revokeAll(bank: string): Promise<{ bank: string; notBefore: string }>;
  /** Every bank, over all pages. */
  banks(): Promise<ListedBank[]>;
  /** What deletions erased, the newest first, over all pages; of one bank id where it is given. */
  receipts(bank?: string): Promise<ListedReceipt[]>;
  /** One of them, and the same signed. */
  receipt(id: string): Promise<{ receipt: ListedReceipt; jws: string }>;
}

export function createControlClient(settings: Settings): ControlClient {
  const call = async <T extends z.ZodType>(
    method: string,
    path: string,
    schema: T,
    body?: unknown,
  ): Promise<z.infer<T>> => {
    const response = await send(settings, method, path, body);
    const text = await response.text();
    const answer = answerSchema.safeParse(parseJson(text));
    if (!answer.success) {
      throw new BankhouseError(
        'not_bankhouse',
        `${settings.adminUrl()} answered ${response.status} ${response.statusText}, but not as control's port for the admin key does; is it that one, and is the platform ready?`,
      );
    }
    if (!answer.data.ok) throw new BankhouseError(answer.data.error.code, answer.data.error.message);
    return schema.parse(answer.data.data);
  };
  return {
    mint: (request) => call('POST', '/v1/tokens', mintedSchema, request),
    revoke: (what) => call('POST', '/v1/tokens/revoke', z.object({ jti: z.string(), until: z.string() }), what),
    revokeAll: (bank) =>
      call(
        'POST',
        `/v1/banks/${encodeURIComponent(bank)}/epoch`,
        z.object({ bank: z.string(), notBefore: z.string() }),
      ),
    async banks() {
      const banks: ListedBank[] = [];
      let after: string | null = '';
      while (after !== null) {
        const page: z.infer<typeof pageSchema> = await call(
          'GET',
          `/v1/banks?limit=1000${after === '' ? '' : `&after=${after}`}`,
          pageSchema,
        );
        banks.push(...page.banks);
        after = page.nextAfter;
      }
      return banks;
    },
    async receipts(bank) {
      const receipts: ListedReceipt[] = [];
      let before: number | null = 0;
      while (before !== null) {
        const query = new URLSearchParams({ limit: '1000' });
        if (bank !== undefined) query.set('bank', bank);
        if (before > 0) query.set('before', String(before));
        const page: z.infer<typeof receiptPageSchema> = await call('GET', `/v1/receipts?${query}`, receiptPageSchema);
        receipts.push(...page.receipts);
        before = page.nextBefore;
      }
      return receipts;
    },
    receipt: (id) =>
      call('GET', `/v1/receipts/${encodeURIComponent(id)}`, z.object({ receipt: receiptSchema, jws: z.string() })),
  };
}

async function send(settings: Settings, method: string, path: string, body: unknown): Promise<Response> {
  const url = settings.adminUrl();
  const authorization = `Bearer ${settings.adminKey()}`;
  try {
    return await fetch(`${url}${path}`, {
      method,
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: { authorization, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (error) {
    throw explainFetch(error, { ...settings, url });
  }
}

/** Why it did not answer, as one sentence. */
export function explainFetch(error: unknown, settings: Pick<Settings, 'url' | 'caFile'>): BankhouseError {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (/CERT|SIGNATURE|ISSUER/.test(code)) {
    const hint =
      settings.caFile === undefined
        ? 'name its CA by --ca-file or BANKHOUSE_CA_FILE'
        : `it is not of the CA in ${settings.caFile}`;
    return new BankhouseError('untrusted', `The certificate of ${settings.url} is not trusted (${code}); ${hint}.`, {
      cause: error,
    });
  }
  const reason =
    cause instanceof Error && cause.name === 'TimeoutError' ? 'no answer in time' : messageOf(cause) || code;
  return new BankhouseError('unreachable', `${settings.url} can't be reached (${reason}); is the platform up?`, {
    cause: error,
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
