import { BANK_LABEL, bankIdOf } from '@bankhouse/core';
import type { V1PodDisruptionBudgetSpec } from '@kubernetes/client-node';
import { type BankIdentity, type Child, childMetadata } from './model.ts';

/** For banks with several pods: a node that is drained takes one at a time. With one pod it would block the drain. */
export function buildPodDisruptionBudget(bank: BankIdentity): Child<{ spec: V1PodDisruptionBudgetSpec }> {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: childMetadata(bank),
    spec: { maxUnavailable: 1, selector: { matchLabels: { [BANK_LABEL]: bankIdOf(bank) } } },
  };
}
