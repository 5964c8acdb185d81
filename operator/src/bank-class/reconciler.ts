import { type BankClass, type bankClassSchema, CLASS_FINALIZER, type Logger } from '@bankhouse/core';
import type { Clock, Outcome, Transport } from '@bankhouse/kube';
import type { z } from 'zod';
import type { Caches } from '../caches.ts';
import { holdFinalizer, releaseFinalizer } from '../cluster/finalizers.ts';
import { bankClassPath } from '../cluster/paths.ts';
import { writeStatus } from '../cluster/status.ts';
import { fails, holds, starting } from '../decide/verdict.ts';
import { problemOfServer } from '../placement/index.ts';
import type { Places } from '../places.ts';
import { createReconciler, type Step, stepOf } from '../reconcile/index.ts';
import type { Settings } from '../settings.ts';

type ClassStatus = NonNullable<z.infer<typeof bankClassSchema>['status']>;

interface ClassKind {
  snapshot: { bankClass: BankClass; banks: number };
  condition: 'Accepted';
  deps: ClassDeps;
  outputs: { protection: undefined };
}

export interface ClassDeps {
  transport: Transport;
  caches: Pick<Caches, 'classes'>;
  places: Places;
  clock: Clock;
  settings: Settings;
}

/** While banks follow a class it can't vanish: they would be left without what they run as. */
const protectionStep = stepOf<ClassKind>()({
  name: 'protection',
  condition: 'Accepted',
  needs: [],
  async run({ bankClass, banks }, _, { transport, caches, settings }) {
    const { name, deletionTimestamp } = bankClass.metadata;
    const path = bankClassPath(name);
    const isGoing = deletionTimestamp !== undefined;
    if (banks === 0) await releaseFinalizer(transport, caches.classes, path, bankClass, CLASS_FINALIZER);
    else if (!isGoing) await holdFinalizer(transport, caches.classes, path, bankClass, CLASS_FINALIZER);
    const server = bankClass.spec.database?.secretRef?.name;
    const problem = server === undefined ? undefined : problemOfServer(server, settings.SERVERS);
    const verdict = isGoing
      ? starting('Deleting', 'The class is deleted once no bank follows it; new ones are refused already.')
      : problem !== undefined
        ? fails('ServerUnknown', problem)
        : holds('Accepted', 'Banks can follow the class.');
    return { kind: 'done', output: undefined, verdict };
  },
});

function phaseOf(isGoing: boolean, isAccepted: boolean): string {
  if (isGoing) return 'Deleting';
  return isAccepted ? 'Accepted' : 'Rejected';
}

const STEPS: readonly Step<ClassKind>[] = [protectionStep];

/** A class's status: how many banks follow it; and its protection. */
export function createClassReconciler(deps: ClassDeps, logger: Logger): (name: string) => Promise<Outcome> {
  const { transport, caches, places, clock } = deps;
  return createReconciler<ClassKind>({
    gather(name) {
      const bankClass = caches.classes.get(name);
      return bankClass === undefined ? undefined : Object.freeze({ bankClass, banks: places.countOf(name) });
    },
    lists: [STEPS],
    steps: () => STEPS,
    object: ({ bankClass }) => bankClass,
    async writeStatus({ snapshot: { bankClass, banks }, verdicts, toConditions }) {
      const { name, generation, deletionTimestamp } = bankClass.metadata;
      // Just let go.
      if (deletionTimestamp !== undefined && banks === 0) return 'unchanged';
      const status: ClassStatus = {
        observedGeneration: generation ?? 1,
        phase: phaseOf(deletionTimestamp !== undefined, verdicts.get('Accepted')?.status === 'True'),
        conditions: toConditions(verdicts),
        banks,
      };
      return await writeStatus(transport, caches.classes, bankClassPath(name), bankClass, status);
    },
    deps,
    clock,
    logger,
  });
}
