import { z } from 'zod';

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
  const literal = pattern.source.replaceAll('\\/', '/').replaceAll('\\', '\\\\').replaceAll("'", "\\'");
  return withRules(z.string().max(maxLength).regex(pattern, sentence), rule(`self.matches('${literal}')`, sentence));
}

/** A quantity such as `50m` or `128Mi`. */
export const quantitySchema = matching(
  /^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi)?$/,
  32,
  'must be a quantity such as 50m or 128Mi',
);

/** A Go-style duration of whole units, such as `15m`, `12h` or `90d`. */
export const durationSchema = matching(
  /^[1-9][0-9]*(s|m|h|d)$/,
  16,
  'must be a whole number with its unit s, m, h or d, such as 15m or 90d',
);

const amountsSchema = z.object({
  cpu: quantitySchema.optional().meta({ description: 'Processor time, such as 50m for a twentieth of a core.' }),
  memory: quantitySchema.optional().meta({ description: 'Memory, such as 128Mi.' }),
});

/** Resource requests and limits of a container. */
export const resourcesSchema = z.object({
  requests: amountsSchema.optional().meta({ description: 'Set aside for the container.' }),
  limits: amountsSchema.optional().meta({ description: 'The most that the container gets.' }),
});

export type ResourceLimits = z.infer<typeof resourcesSchema>;
