import { z } from 'zod';
import { DURATION_MAX_LENGTH, DURATION_PATTERN, parseDuration } from '../duration.ts';

/** What an object's metadata has for us. Timestamps stay strings as the API server sends them (RFC 3339). */
export const metadataSchema = z.looseObject({
  name: z.string(),
  namespace: z.string().optional(),
  uid: z.string().optional(),
  resourceVersion: z.string().optional(),
  generation: z.number().int().optional(),
  creationTimestamp: z.string().optional(),
  deletionTimestamp: z.string().optional(),
  finalizers: z.array(z.string()).optional(),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});

export type Metadata = z.infer<typeof metadataSchema>;

/** A condition (Kubernetes API conventions, "Typical status properties"). */
export const conditionSchema = z.object({
  type: z.string().max(316).meta({ description: 'What the condition is about, such as Ready.' }),
  status: z.enum(['True', 'False', 'Unknown']).meta({ description: 'Whether it holds.' }),
  observedGeneration: z.int().min(0).optional().meta({ description: 'metadata.generation that it was judged for.' }),
  lastTransitionTime: z.iso.datetime().meta({ description: 'When the status last changed; moves only then.' }),
  reason: z.string().min(1).max(1024).meta({ description: 'One word in CamelCase, for programs.' }),
  message: z.string().max(32768).meta({ description: 'One sentence for people: what is wrong and what to do.' }),
});

export type Condition = z.infer<typeof conditionSchema>;

/** Fields that every status of ours has. */
export const statusFields = {
  observedGeneration: z.int().min(0).optional().meta({ description: 'metadata.generation that the status is about.' }),
  phase: z.string().max(32).optional().meta({ description: 'One word for people.' }),
  conditions: z
    .array(conditionSchema)
    .max(16)
    .optional()
    .meta({
      description: 'What holds and what does not, one entry per type.',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
    }),
};

/** A CEL rule for the API server (KEP-2876), as `x-kubernetes-validations` has it. */
export interface Rule {
  rule: string;
  /** The sentence that a person reads when it doesn't hold: what must be, and what to do. */
  message: string;
  /** Field that the message is about, such as `.spec.id`; absent: where the rule stands. */
  fieldPath?: string;
}

export function rule(expression: string, message: string, fieldPath?: string): Rule {
  return { rule: expression, message, ...(fieldPath === undefined ? {} : { fieldPath }) };
}

/** Adds CEL rules to a schema; they reach the CRD as `x-kubernetes-validations`. */
export function withRules<S extends z.ZodType>(schema: S, ...rules: Rule[]): S {
  return schema.meta({ ...schema.meta(), 'x-kubernetes-validations': rules });
}

/**
 * A string of at most `maxLength` characters that matches `pattern`. In the CRD the pattern becomes a CEL rule, because the
 * API server's own words for a pattern show the pattern and nothing else.
 *
 * @param sentence what the value must be, to follow the field's name: `must be a …`
 */
export function matching(pattern: RegExp, maxLength: number, sentence: string): z.ZodString {
  return withRules(z.string().max(maxLength).regex(pattern, sentence), rule(matches(pattern), sentence));
}

/** A CEL expression: the pattern fits. */
function matches(pattern: RegExp, what = 'self'): string {
  return `${what}.matches('${pattern.source.replaceAll('\\/', '/').replaceAll('\\', '\\\\').replaceAll("'", "\\'")}')`;
}

/** Where a refused field's type and sentence stand until `crd.ts` makes a field and a rule of them. */
export const REFUSED = 'x-bankhouse-refused';

/**
 * A field that is refused at admission, with a sentence that says what to do. It has to be in the schema for that: what is
 * not there is pruned without a word, and somebody believes that it holds.
 *
 * @param type as people would give it; of an `object` any content is taken, so that the sentence is the answer to all of them
 */
export function notSupported(type: 'string' | 'boolean' | 'object', sentence: string) {
  const message = `NotSupported: ${sentence}`;
  return z
    .never()
    .optional()
    .meta({ description: message, [REFUSED]: { type, message } });
}

/** Of an object's name, or a domain's. */
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
/** Key of a label, taint or node's property: a name, and before it perhaps a domain and "/". */
const QUALIFIED = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

/** Name of an object that is referred to. */
export const objectNameSchema = matching(
  SUBDOMAIN,
  253,
  'must be the name of an object: lower-case letters, digits, "-" and "."',
);

export const qualifiedNameSchema = matching(
  QUALIFIED,
  317,
  'must be a key such as topology.kubernetes.io/zone: a name of at most 63 characters, with a domain before it at will',
);

export const labelValueSchema = matching(
  LABEL_VALUE,
  63,
  'must be the value of a label: letters, digits, "-", "_" and "."',
);

/** Labels, each of which an object must have. */
export const labelsSchema = withRules(
  z.record(z.string(), labelValueSchema),
  rule(
    `self.all(key, key.size() <= 317 && ${matches(QUALIFIED, 'key')})`,
    'every key must be one of a label, such as topology.kubernetes.io/zone',
  ),
).meta({ maxProperties: 16 });

/** A name for people. It becomes text in Postgres and an environment variable. */
export const displayNameSchema = matching(
  /^[^\p{Cc}]+$/u,
  120,
  'must be at least one character, and have no control characters',
);

export const imageSchema = matching(/^[^\s]+$/, 512, 'must be the reference of an image, without blanks');

/** An address range of a NetworkPolicy. */
export const cidrSchema = withRules(
  z
    .string()
    .max(43)
    .regex(/^[0-9a-fA-F.:]+\/[0-9]{1,3}$/),
  rule(
    'isCIDR(self) && cidr(self).masked() == cidr(self)',
    'must be an address range such as 203.0.113.0/24, with no bits set beyond its length',
  ),
);

const QUANTITY = /^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$/;
const QUANTITY_SENTENCE = 'must be a quantity such as 50m or 128Mi';

/** A quantity such as `50m`, `128Mi` or the number 1. `canonicalQuantity` of the operator makes one form of both. */
export const quantitySchema = withRules(
  z.union([z.int().min(0), z.string().max(32).regex(QUANTITY, QUANTITY_SENTENCE)]),
  rule(`type(self) == int ? self >= 0 : ${matches(QUANTITY)}`, QUANTITY_SENTENCE),
).meta({ 'x-kubernetes-int-or-string': true, maxLength: 32 });

export type Quantity = z.infer<typeof quantitySchema>;

/** A length of time as Go writes it (`duration.ts`), between two others, both included. */
export function durationSchema(least: string, most: string): z.ZodString {
  const isWithin = (text: string) =>
    DURATION_PATTERN.test(text) &&
    parseDuration(text) >= parseDuration(least) &&
    parseDuration(text) <= parseDuration(most);
  const sentence = `must be a duration such as 168h or 1h30m, from ${least} to ${most} (Go knows no days)`;
  return withRules(
    z.string().max(DURATION_MAX_LENGTH).refine(isWithin, sentence),
    rule(
      `${matches(DURATION_PATTERN)} && duration(self) >= duration('${least}') && duration(self) <= duration('${most}')`,
      sentence,
    ),
  );
}

const amountsSchema = z.object({
  cpu: quantitySchema.optional().meta({ description: 'Processor time, such as 50m for a twentieth of a core.' }),
  memory: quantitySchema.optional().meta({ description: 'Memory, such as 128Mi.' }),
});

const requestWithinLimit = (name: 'cpu' | 'memory') =>
  rule(
    `!has(self.requests) || !has(self.limits) || !has(self.requests.${name}) || !has(self.limits.${name}) || ` +
      `quantity(string(self.requests.${name})).compareTo(quantity(string(self.limits.${name}))) <= 0`,
    `must not be more than limits.${name}`,
    `.requests.${name}`,
  );

/** Resource requests and limits of a container. */
export const resourcesSchema = withRules(
  z.object({
    requests: amountsSchema.optional().meta({ description: 'Set aside for the container.' }),
    limits: amountsSchema.optional().meta({ description: 'The most that the container gets.' }),
  }),
  requestWithinLimit('cpu'),
  requestWithinLimit('memory'),
);

export type ResourceLimits = z.infer<typeof resourcesSchema>;
