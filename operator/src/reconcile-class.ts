import { type BankClass, type bankClassSchema, isDefaultClass } from '@bankhouse/core';
import { type Clock, isApiError, type Outcome, type Transport } from '@bankhouse/kube';
import type { z } from 'zod';
import { bankClassPath } from './cluster/paths.ts';
import { writeStatus } from './cluster/status.ts';
import { defaultsOf } from './decide/accept.ts';
import { toConditions } from './decide/conditions.ts';
import { fails, holds, type Verdict } from './decide/verdict.ts';
import type { Caches } from './snapshot.ts';

type ClassStatus = NonNullable<z.infer<typeof bankClassSchema>['status']>;

/** A class's status: how many banks follow it, and whether it is the only default. */
export function createClassReconciler({
  transport,
  caches,
  clock,
}: {
  transport: Transport;
  caches: Caches;
  clock: Clock;
}) {
  return async (name: string): Promise<Outcome> => {
    const bankClass = caches.classes.get(name);
    if (bankClass === undefined || bankClass.metadata.deletionTimestamp !== undefined) return { kind: 'done' };
    const verdict = judgeClass(bankClass, caches.classes.list());
    const generation = bankClass.metadata.generation ?? 1;
    const status: ClassStatus = {
      observedGeneration: generation,
      phase: verdict.status === 'True' ? 'Accepted' : 'Ambiguous',
      conditions: toConditions(
        bankClass.status?.conditions ?? [],
        [['Accepted', verdict]],
        generation,
        new Date(clock.now()).toISOString().replace(/\.\d+Z$/, 'Z'),
      ),
      banks: caches.banks.list().filter((bank) => bank.status?.className === name).length,
    };
    try {
      await writeStatus(transport, caches.classes, bankClassPath(name), bankClass, status);
    } catch (error) {
      if (!isApiError(error, 'not_found', 'conflict')) throw error;
    }
    return { kind: 'done' };
  };
}

export function judgeClass(bankClass: BankClass, classes: readonly BankClass[]): Verdict {
  const others = defaultsOf(classes).filter((other) => other.metadata.name !== bankClass.metadata.name);
  if (!isDefaultClass(bankClass) || others.length === 0) return holds('Accepted', 'Banks can follow the class.');
  return fails(
    'SeveralDefaultClasses',
    `Also marked as default: ${others.map((other) => other.metadata.name).join(', ')}. New banks without spec.className are refused until one is left.`,
  );
}
