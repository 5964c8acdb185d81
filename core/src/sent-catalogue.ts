import { createHash } from 'node:crypto';
import { z } from 'zod';
import { BankhouseError } from './errors.ts';
import { jsonWithinBounds } from './limits.ts';
import { BUILT_IN_CATALOGUE, type CatalogueTool, type KnownCatalogue, type ToolAccess } from './policy/catalogue.ts';

/** Where a bank server gives its catalogue. The gateway sends no client's request there: they all go to the bank's own path. */
export const CATALOGUE_PATH = '/bankhouse/catalogue';
/** Header by which the gateway asks for the digest of the catalogue as it is now, and in which the answer says it, sealed by its proof. */
export const CATALOGUE_HEADER = 'bankhouse-catalogue';
/** What the gateway says in it. A bank server that is not asked says nothing: a gateway of the version before would not know its proof. */
export const CATALOGUE_WANTED = 'digest';

/** Bounds of a catalogue as it is sent. */
export const CATALOGUE_MAX_BYTES = 256 * 1024;
export const CATALOGUE_DIGEST_LENGTH = 43;
const MAX_ENTRIES = 2000;
const MAX_NAME = 256;

/** It is longer than it may be, or says what none can say. */
export class CatalogueError extends BankhouseError {
  constructor(message: string) {
    super('catalogue_wrong', message);
    this.name = 'CatalogueError';
  }
}

const nameSchema = z.string().min(1).max(MAX_NAME);
/** With what a tool needs, or any prompt and resource: `read`. */
const readSchema = z.array(z.tuple([nameSchema, z.literal('read')])).max(MAX_ENTRIES);

/** A bank server of the next version may say more of it. */
const toolSchema = z
  .tuple([nameSchema, z.enum(['read', 'write', 'either']), z.string().regex(/^sha256:[0-9a-f]{64}$/)])
  .rest(z.unknown());

const sentSchema = z.object({
  tools: z.array(toolSchema).max(MAX_ENTRIES),
  prompts: readSchema,
  /** Templates: the URIs themselves are data. */
  resources: readSchema,
});

/** What a bank offers, as its server gathers it. */
export interface Offered {
  readonly tools: Iterable<readonly [name: string, tool: CatalogueTool]>;
  readonly prompts: Iterable<string>;
  readonly resources: Iterable<string>;
}

export interface SentCatalogue {
  readonly text: string;
  readonly digest: string;
}

/** One text for what is the same, in whatever order it came, so that banks that offer the same have one digest. */
export function writeCatalogue({ tools, prompts, resources }: Offered): SentCatalogue {
  const reading = (names: Iterable<string>) => [...names].sort().map((name) => [name, 'read']);
  const text = JSON.stringify({
    tools: [...tools]
      .map(([name, { access, digest }]) => [name, access, digest] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
    prompts: reading(prompts),
    resources: reading(resources),
  });
  return { text, digest: catalogueDigest(Buffer.from(text)) };
}

/** base64url SHA-256. */
export function catalogueDigest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64url');
}

/**
 * What a bank sent, as decisions are made by it. A bank says itself what its tools need, but for those that our own toolsets have: of these a
 * bank server, which may be in the wrong hands, can't say that they need more than they do (docs/security.md).
 *
 * @throws CatalogueError
 */
export function readCatalogue(bytes: Uint8Array): KnownCatalogue {
  if (bytes.length > CATALOGUE_MAX_BYTES) throw new CatalogueError(`It has more than ${CATALOGUE_MAX_BYTES} bytes.`);
  const parsed = jsonWithinBounds(bytes) === 'within' ? sentSchema.safeParse(parse(bytes)) : undefined;
  if (parsed?.success !== true) throw new CatalogueError('It does not have the form of a catalogue.');
  return {
    digest: catalogueDigest(bytes),
    tools: new Map(
      parsed.data.tools.map(([name, access, digest]) => [
        name,
        { access: lesser(access, BUILT_IN_CATALOGUE.tools.get(name)?.access ?? access), digest },
      ]),
    ),
  };
}

const BY_ACCESS: readonly ToolAccess[] = ['read', 'either', 'write'];

function lesser(a: ToolAccess, b: ToolAccess): ToolAccess {
  return BY_ACCESS[Math.min(BY_ACCESS.indexOf(a), BY_ACCESS.indexOf(b))] ?? a;
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
