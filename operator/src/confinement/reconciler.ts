import type { Bank, BankClass, Logger } from '@bankhouse/core';
import { type Clock, type Outcome, splitKey } from '@bankhouse/kube';
import type { Caches } from '../caches.ts';
import type { Mapping } from '../mapping.ts';
import { createReconciler, type Step, stepOf } from '../reconcile/index.ts';

interface ConfinementKind {
  snapshot: { namespace: string; bankClass: BankClass | undefined; banks: readonly Bank[]; waiting: readonly string[] };
  condition: never;
  deps: ConfinementDeps;
  outputs: { places: undefined };
}

export interface ConfinementDeps {
  caches: Pick<Caches, 'classes' | 'banks'>;
  mapping: Mapping;
  clock: Clock;
  /** Looks at these Banks soon. */
  wake(keys: readonly string[]): void;
}

/** Where a class has a place free in the namespace, those that may wait for it are looked at again. */
const placesStep = stepOf<ConfinementKind>()({
  name: 'places',
  needs: [],
  async run({ bankClass, banks, waiting }, _, { wake }) {
    const most = bankClass?.spec.maxBanksPerNamespace;
    const taken = banks.filter(({ status }) => status?.className === bankClass?.metadata.name).length;
    if (most !== undefined && taken < most) wake(waiting);
    return { kind: 'done', output: undefined };
  },
});

const STEPS: readonly Step<ConfinementKind>[] = [placesStep];

/** What the banks of one class in one namespace share: its places. The key is `namespace/class`. */
export function createConfinementReconciler(deps: ConfinementDeps, logger: Logger): (key: string) => Promise<Outcome> {
  const { caches, mapping, clock } = deps;
  return createReconciler<ConfinementKind>({
    gather(key) {
      const { namespace = '', name } = splitKey(key);
      return Object.freeze({
        namespace,
        bankClass: caches.classes.get(name),
        banks: mapping.banksIn(namespace, name).flatMap((bank) => caches.banks.get(bank) ?? []),
        waiting: mapping.waitingIn(namespace),
      });
    },
    lists: [STEPS],
    steps: () => STEPS,
    deps,
    clock,
    logger,
  });
}
