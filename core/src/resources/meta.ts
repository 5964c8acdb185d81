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
  type: z.string().max(316),
  status: z.enum(['True', 'False', 'Unknown']),
  observedGeneration: z.int().min(0).optional(),
  lastTransitionTime: z.iso.datetime().meta({ description: 'When the status last changed; moves only then.' }),
  reason: z.string().min(1).max(1024).meta({ description: 'One word in CamelCase, for programs.' }),
  message: z.string().max(32768).meta({ description: 'One sentence for people: what is wrong and what to do.' }),
});

export type Condition = z.infer<typeof conditionSchema>;

/** Fields that every status of ours has. */
export const statusFields = {
  observedGeneration: z.int().min(0).optional(),
  phase: z.string().max(32).optional().meta({ description: 'One word for people.' }),
  conditions: z
    .array(conditionSchema)
    .max(16)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] }),
};

/** A CEL rule for the API server (KEP-2876): what must hold, and the sentence that a person reads when it doesn't. */
export function rule(expression: string, message: string): { rule: string; message: string } {
  return { rule: expression, message };
}

/** Adds CEL rules to a schema; they reach the CRD as `x-kubernetes-validations`. */
export function withRules<S extends z.ZodType>(schema: S, ...rules: { rule: string; message: string }[]): S {
  return schema.meta({ ...schema.meta(), 'x-kubernetes-validations': rules });
}

/** A quantity such as `50m` or `128Mi`. */
export const quantitySchema = z
  .string()
  .max(32)
  .regex(/^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi)?$/);

/** A Go-style duration of whole units, such as `15m`, `12h` or `90d`. */
export const durationSchema = z
  .string()
  .max(16)
  .regex(/^[1-9][0-9]*(s|m|h|d)$/);

/** Resource requests and limits of a container. */
export const resourcesSchema = z.object({
  requests: z.object({ cpu: quantitySchema.optional(), memory: quantitySchema.optional() }).optional(),
  limits: z.object({ cpu: quantitySchema.optional(), memory: quantitySchema.optional() }).optional(),
});

export type ResourceLimits = z.infer<typeof resourcesSchema>;
