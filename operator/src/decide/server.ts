import type { StoredChild } from '../cluster/stored.ts';
import { fails, holds, starting, type Verdict, waits } from './verdict.ts';

/** What the Deployment says about the bank's pods. */
export function judgeServer(
  deployment: StoredChild | undefined,
  bank: { suspended: boolean; selector: string },
): Verdict {
  if (bank.suspended) return fails('Suspended', 'The bank is suspended; set spec.suspend to false to start it.');
  if (deployment === undefined) return waits('Waits for the Deployment.');
  const { status } = deployment;
  if ((status?.availableReplicas ?? 0) >= 1) return holds('Answers', 'A pod answers.');
  const failure = status?.conditions?.find(({ type, status: s }) => type === 'ReplicaFailure' && s === 'True');
  if (failure !== undefined) {
    return fails(
      'PodRefused',
      `The cluster refuses the bank's pod: ${failure.message ?? failure.reason ?? 'no reason given'}.`,
    );
  }
  const progress = status?.conditions?.find(({ type }) => type === 'Progressing');
  if (progress?.status === 'False') {
    return fails('PodFails', `The bank's pod does not become ready; see "kubectl describe pods -l ${bank.selector}".`);
  }
  return starting('PodStarts', "The bank's pod is starting.");
}

/** Whether every pod there is runs what is wanted now, so that an answer speaks for it. */
export function isSettled(deployment: StoredChild | undefined): boolean {
  const { metadata, status } = deployment ?? {};
  return (
    (status?.observedGeneration ?? 0) >= (metadata?.generation ?? 1) &&
    (status?.updatedReplicas ?? 0) >= 1 &&
    status?.replicas === status?.updatedReplicas
  );
}

/** Whether there is a pod that could answer. */
export function hasPods(deployment: StoredChild | undefined): boolean {
  return (deployment?.status?.updatedReplicas ?? 0) >= 1 || (deployment?.status?.replicas ?? 0) >= 1;
}
