import type { StoredChild } from '../cluster/stored.ts';
import type { StoredPod } from './pods.ts';
import { fails, holds, starting, type Verdict, waits } from './verdict.ts';

/**
 * What Deployment and pods say. Pods of before that go on answering don't hide that those wanted now don't start: then what is wanted is
 * not so, though calls are answered.
 */
export function judgeServer(
  deployment: StoredChild | undefined,
  pods: readonly StoredPod[],
  bank: { suspended: boolean; selector: string },
): Verdict {
  if (bank.suspended) return fails('Suspended', 'The bank is suspended; set spec.suspend to false to start it.');
  if (deployment === undefined) return waits('Waits for the Deployment.');
  const answers = (deployment.status?.availableReplicas ?? 0) >= 1;
  if (answers && isSettled(deployment)) return holds('Answers', 'A pod answers.');
  const trouble = troubleOf(deployment, pods, bank.selector);
  if (!answers) return trouble ?? starting('PodStarts', "The bank's pod is starting.");
  if (trouble === undefined) return holds('Answers', 'A pod answers.');
  return fails('RolloutStuck', `Pods of before answer, but those wanted now don't start: ${trouble.message}`);
}

/** What keeps the wanted pods from starting; none known. */
function troubleOf({ status }: StoredChild, pods: readonly StoredPod[], selector: string): Verdict | undefined {
  const failure = status?.conditions?.find(({ type, status: s }) => type === 'ReplicaFailure' && s === 'True');
  if (failure !== undefined) {
    return fails(
      'PodRefused',
      `The cluster refuses the bank's pod: ${failure.message ?? failure.reason ?? 'no reason given'}.`,
    );
  }
  const stuck = pods
    .flatMap(({ status: s }) => s?.containerStatuses ?? [])
    .flatMap(({ state }) => state?.waiting ?? [])
    .find(({ reason }) => STUCK.has(reason ?? ''));
  if (stuck !== undefined) {
    return fails('PodFails', `The bank's pod does not start (${stuck.reason}): ${stuck.message || 'no more is said'}.`);
  }
  const progress = status?.conditions?.find(({ type }) => type === 'Progressing');
  if (progress?.status !== 'False') return undefined;
  return fails('PodFails', `The bank's pod does not become ready; see "kubectl describe pods -l ${selector}".`);
}

/** Reasons of a container that waits for a person; others pass. */
const STUCK = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'CrashLoopBackOff',
  'CreateContainerConfigError',
  'CreateContainerError',
]);

/** Whether every pod there runs what is wanted now, so that an answer speaks for it. */
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
