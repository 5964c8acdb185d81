import { CLASS_LABEL } from '@bankhouse/core';
import { isOwnedBy } from '../cluster/owner.ts';
import { StepFailure } from '../reconcile/index.ts';
import { buildPolicyBefore, type ChildKind, deploymentBefore } from '../resources/index.ts';
import { type BankDeps, type BankSnapshot, bankStep, childOf } from './kind.ts';

/*
 * Banks of the version before (ADR 17): their pods run in its form until what they run is another thing. The version after this one forgets it.
 */

/** The Deployment in the form that its pods have: the one before, where nothing else than the form would change. */
export function inFormOfPods(
  snapshot: BankSnapshot,
  wanted: Parameters<typeof deploymentBefore>[0],
  { applier, caches }: Pick<BankDeps, 'applier' | 'caches'>,
): typeof wanted {
  const before = deploymentBefore(wanted, snapshot.bank);
  // Without its ServiceAccount no pod of that form can be made again, and without its policy none is confined.
  const stays = has('ServiceAccount', snapshot, caches) && has('NetworkPolicy', snapshot, caches);
  return stays && applier.isAsWanted(snapshot.owner, before) ? before : wanted;
}

/**
 * What the version before made and nobody needs any more: the Service at once; ServiceAccount and NetworkPolicy when no pod of its form is
 * left, and until then the policy is kept as wanted.
 */
export const leftoversStep = bankStep({
  name: 'leftovers',
  condition: 'ServerReady',
  needs: ['class', 'server'],
  async run(snapshot, given, { applier, caches, settings }) {
    if (given.class.kind === 'refused') throw new StepFailure(given.class.verdict, 'stall');
    const { bank, owner, pods } = snapshot;
    await applier.remove(owner, childOf(snapshot, 'Service'));
    if (!has('NetworkPolicy', snapshot, caches) && !has('ServiceAccount', snapshot, caches)) {
      return { kind: 'done', output: undefined };
    }
    const deployment = caches.children.Deployment.get(`${snapshot.child.namespace}/${snapshot.child.name}`);
    const isHeard = (deployment?.status?.observedGeneration ?? 0) >= (deployment?.metadata.generation ?? 1);
    const isNow = deployment?.metadata.labels?.[CLASS_LABEL] !== undefined && isHeard;
    if (isNow && pods.every(({ metadata }) => metadata.labels?.[CLASS_LABEL] !== undefined)) {
      await applier.remove(owner, childOf(snapshot, 'ServiceAccount'));
      await applier.remove(owner, childOf(snapshot, 'NetworkPolicy'));
    } else if (has('NetworkPolicy', snapshot, caches)) {
      await applier.apply(owner, buildPolicyBefore(bank, given.class.bankClass.spec, settings));
    }
    return { kind: 'done', output: undefined };
  },
});

function has(kind: ChildKind, { owner, child }: BankSnapshot, caches: BankDeps['caches']): boolean {
  const found = caches.children[kind].get(`${child.namespace}/${child.name}`);
  return found !== undefined && isOwnedBy(found.metadata, owner);
}
