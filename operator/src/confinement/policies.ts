import { classPolicyName, embeddingsPolicyName } from '@bankhouse/core';
import type { Namespaces } from '../caches.ts';
import type { Applier } from '../cluster/apply.ts';
import { namespaceOwner, type Owner } from '../cluster/owner.ts';
import { buildPolicies, type ClassIdentity, type ServerNames } from '../resources/index.ts';
import type { Settings } from '../settings.ts';

export interface PolicyDeps {
  applier: Applier;
  namespaces: Namespaces;
  settings: Settings;
  /** Servers that rows of the class's banks in the namespace are on. */
  rowsOn(namespace: string, className: string): ServerNames;
}

/**
 * The policies of the class's pods in the namespace, as wanted; what is not wanted any more stays, for the confinement's own pass.
 *
 * @param also servers that rows are on beside those which are known
 * @throws StepFailure `NotOwned` where somebody else's has a name of theirs
 */
export async function applyPolicies(
  namespace: string,
  bankClass: ClassIdentity,
  { applier, namespaces, settings, rowsOn }: PolicyDeps,
  also: ServerNames = [],
): Promise<void> {
  const owner = await ownerIn(namespace, namespaces);
  const servers = [...rowsOn(namespace, bankClass.metadata.name), ...also];
  await Promise.all(buildPolicies(owner, bankClass, settings, servers).map((policy) => applier.apply(owner, policy)));
}

/**
 * Takes away the policies of the class that nobody needs any more.
 *
 * @param isNeeded asked of each right before it is deleted
 */
export async function removePolicies(
  namespace: string,
  className: string,
  isNeeded: (policy: 'class' | 'embeddings') => boolean,
  { applier, namespaces }: PolicyDeps,
): Promise<void> {
  const owner = await ownerIn(namespace, namespaces);
  const names = { embeddings: embeddingsPolicyName(className), class: classPolicyName(className) };
  for (const which of ['embeddings', 'class'] as const) {
    const key = { kind: 'NetworkPolicy', namespace, name: names[which] } as const;
    await applier.remove(owner, key, { unless: () => isNeeded(which) });
  }
}

async function ownerIn(namespace: string, namespaces: Namespaces): Promise<Owner> {
  return namespaceOwner(namespace, (await namespaces.get(namespace)).uid);
}
