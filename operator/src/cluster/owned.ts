import { createHash } from 'node:crypto';
import { FIELD_MANAGER } from '@bankhouse/core';

/** `fieldsV1` of one entry of `metadata.managedFields` (KEP-555): a trie of `f:name`, `k:{keys}`, `v:value`, `i:index`. */
type FieldSet = { readonly [key: string]: FieldSet };

/*
 * Whoever may write an object can write its managedFields, under our manager's name too. What is not a field set, or doesn't fit the
 * object, is therefore no error: it selects nothing, so that the object differs from what is wanted.
 */

interface ManagedFields {
  manager?: string;
  operation?: string;
  subresource?: string;
  fieldsV1?: FieldSet;
}

/**
 * The part of a live object that our applies own, with the values as they are now.
 *
 * What we applied comes back exactly so until somebody changes it: a changed value moves the field to its changer, a removed
 * one is gone, and what the API server or others add is not in it. So equality with what is wanted is "nothing to do",
 * whatever the API server defaults.
 */
export function ownedPart(object: { metadata: { managedFields?: unknown[] | undefined } }): unknown {
  const entries = (object.metadata.managedFields ?? []) as (ManagedFields | null)[];
  const ours = entries.find(
    (entry) => entry?.manager === FIELD_MANAGER && entry.operation === 'Apply' && (entry.subresource ?? '') === '',
  );
  return ours?.fieldsV1 === undefined ? {} : (extract(object, ours.fieldsV1) ?? {});
}

function extract(value: unknown, fields: FieldSet): unknown {
  if (!isRecord(fields)) return undefined;
  const keys = Object.keys(fields).filter((key) => key !== '.');
  if (keys.length === 0) return emptied(value, fields);
  if (Array.isArray(value)) return extractItems(value, fields, keys);
  if (!isRecord(value)) return undefined;
  const result: Record<string, unknown> = {};
  for (const key of keys) {
    const name = key.slice(2);
    if (!key.startsWith('f:') || !(name in value)) continue;
    const part = extract(value[name], fields[key] ?? {});
    if (part !== undefined) result[name] = part;
  }
  return result;
}

/** A leaf is owned whole; a `.` alone is a map or list that we own without any of its entries. */
function emptied(value: unknown, fields: FieldSet): unknown {
  if (!('.' in fields)) return value;
  if (Array.isArray(value)) return [];
  return isRecord(value) ? {} : value;
}

function extractItems(items: unknown[], fields: FieldSet, keys: string[]): unknown[] {
  const selectors = keys.flatMap((key) => selectorOf(key) ?? []);
  const result: unknown[] = [];
  for (const [index, item] of items.entries()) {
    const found = selectors.find(({ kind, wanted }) => {
      if (kind === 'i') return String(index) === wanted;
      if (kind === 'v') return canonical(item) === canonical(wanted);
      return (
        isRecord(item) &&
        isRecord(wanted) &&
        Object.entries(wanted).every(([name, v]) => canonical(item[name]) === canonical(v))
      );
    });
    if (found !== undefined) result.push(extract(item, fields[found.key] ?? {}));
  }
  return result;
}

interface Selector {
  kind: 'i' | 'k' | 'v';
  wanted: unknown;
  key: string;
}

function selectorOf(key: string): Selector | undefined {
  const text = key.slice(2);
  if (key.startsWith('i:')) return { kind: 'i', wanted: text, key };
  if (!key.startsWith('k:') && !key.startsWith('v:')) return undefined;
  try {
    return { kind: key.startsWith('k:') ? 'k' : 'v', wanted: JSON.parse(text), key };
  } catch {
    return undefined;
  }
}

/** JSON with keys in order, so that equal values have equal text; `undefined` members don't count. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (!isRecord(value)) return JSON.stringify(value) ?? 'null';
  const members = Object.keys(value)
    .filter((key) => value[key] !== undefined)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
  return `{${members.join(',')}}`;
}

/** Short digest of a value's canonical form. */
export function digestOf(value: unknown): string {
  return createHash('sha256').update(canonical(value)).digest('base64url').slice(0, 22);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
