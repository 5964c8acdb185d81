import {
  BANK_LABEL,
  BANK_SERVER_COMPONENT,
  COMPONENT_LABEL,
  childName,
  MANAGED_BY,
  MANAGED_BY_LABEL,
} from './names.ts';

/** Reading what others wrote: any field may be missing or of another type, and nothing here throws. */

/** An own field; undefined also for null and for what is no object. */
export function field(value: unknown, ...path: readonly string[]): unknown {
  let place = value;
  for (const name of path) {
    if (typeof place !== 'object' || place === null || !Object.hasOwn(place, name)) return undefined;
    place = (place as Record<string, unknown>)[name];
  }
  return place ?? undefined;
}

/** A text that is not empty. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** The elements of a list; of anything else none. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/**
 * The bank that a Pod serves by its labels and by its owner, a ReplicaSet of the bank's Deployment; undefined: none. A matter of order and
 * no proof: whoever may create Pods in the Bank's namespace can write both, but then may mount the bank's Secret as well. It keeps out what
 * others' controllers and `kubectl debug --copy-to` make with the labels of a bank.
 */
export function bankOfPod(pod: unknown): string | undefined {
  const labels = field(pod, 'metadata', 'labels');
  const bank = textOf(field(labels, BANK_LABEL));
  if (bank === undefined || field(labels, MANAGED_BY_LABEL) !== MANAGED_BY) return undefined;
  if (field(labels, COMPONENT_LABEL) !== BANK_SERVER_COMPONENT) return undefined;
  const owners = listOf(field(pod, 'metadata', 'ownerReferences'));
  const owner = owners.find((reference) => field(reference, 'controller') === true);
  if (field(owner, 'kind') !== 'ReplicaSet' || field(owner, 'apiVersion') !== 'apps/v1') return undefined;
  // A Deployment names its ReplicaSets `<name>-<hash>`, and a hash has no dash: so `bank-a-b-…` is not taken for `bank-a`.
  const name = textOf(field(owner, 'name')) ?? '';
  const prefix = `${childName(bank)}-`;
  return name.startsWith(prefix) && /^[a-z0-9]+$/.test(name.slice(prefix.length)) ? bank : undefined;
}
