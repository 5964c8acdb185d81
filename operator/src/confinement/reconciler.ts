import type { BankClass, Logger } from '@bankhouse/core';
import type { Outcome } from '@bankhouse/kube';
import { type Clock, splitKey } from '@bankhouse/kube';
import type { Caches } from '../caches.ts';
import type { Mapping } from '../mapping.ts';
import type { Places } from '../places.ts';
import { createReconciler, type Step, StepFailure, stepOf } from '../reconcile/index.ts';
import { applyPolicies, type PolicyDeps, removePolicies } from './policies.ts';

interface ConfinementKind {
  snapshot: {
    namespace: string;
    className: string;
    bankClass: BankClass | undefined;
  };
  condition: never;
  deps: ConfinementDeps;
  outputs: { places: undefined; policies: undefined };
}

export interface ConfinementDeps extends PolicyDeps {
  caches: Pick<Caches, 'classes' | 'banks'>;
  mapping: Mapping;
  places: Places;
  clock: Clock;
  /** Looks at these Banks soon. */
  wake(keys: readonly string[]): void;
}

/** Where a class has a place free in the namespace, those that may wait for it are looked at again. */
const placesStep = stepOf<ConfinementKind>()({
  name: 'places',
  needs: [],
  async run({ namespace, className, bankClass }, _, { caches, mapping, wake }) {
    const most = bankClass?.spec.maxBanksPerNamespace;
    if (most === undefined) return { kind: 'done', output: undefined };
    const banks = mapping.banksIn(namespace, className).flatMap((bank) => caches.banks.get(bank) ?? []);
    const taken = banks.filter(({ status }) => status?.className === className).length;
    if (taken < most) wake(mapping.waitingIn(namespace));
    return { kind: 'done', output: undefined };
  },
});

/**
 * What confines the class's pods: there while a Bank has a place in the class, or a Deployment or pod still carries its label, and gone
 * after the last of them. A class that is gone takes nothing from pods that run.
 */
const policiesStep = stepOf<ConfinementKind>()({
  name: 'policies',
  needs: [],
  async run({ namespace, className, bankClass }, _, deps) {
    const { mapping, places, settings } = deps;
    const isUsed = () => places.isTaken(namespace, className) || mapping.isConfined(namespace, className);
    if (isUsed() && bankClass !== undefined) {
      await applyPolicies(namespace, bankClass, deps).catch((error: unknown) => {
        // Told by each Bank that needs it.
        if (!(error instanceof StepFailure)) throw error;
      });
    }
    const hasEndpoint = settings.EMBEDDINGS_URL !== undefined && (settings.EMBEDDINGS_EGRESS ?? []).length > 0;
    await removePolicies(namespace, className, (policy) => isUsed() && (policy === 'class' || hasEndpoint), deps);
    return { kind: 'done', output: undefined };
  },
});

const STEPS: readonly Step<ConfinementKind>[] = [placesStep, policiesStep];

/** What the banks of one class in one namespace share: places and policies. The key is `namespace/class`. */
export function createConfinementReconciler(deps: ConfinementDeps, logger: Logger): (key: string) => Promise<Outcome> {
  const { caches, clock } = deps;
  return createReconciler<ConfinementKind>({
    gather(key) {
      const { namespace = '', name: className } = splitKey(key);
      return Object.freeze({ namespace, className, bankClass: caches.classes.get(className) });
    },
    lists: [STEPS],
    steps: () => STEPS,
    deps,
    clock,
    logger,
  });
}
