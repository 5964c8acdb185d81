import type { StoredChild } from '../cluster/stored.ts';
import { judgePods, type PodVerdict, type StoredPod } from './pods.ts';
import { fails, holds, waits } from './verdict.ts';

/** What Deployment and pods say, at the time `now` in milliseconds since 1970. */
export function judgeServer(
  deployment: StoredChild | undefined,
  pods: readonly StoredPod[],
  seen: { suspended: boolean; selector: string; now: number; wantedImage: string },
): PodVerdict {
  if (seen.suspended) return fails('Suspended', 'The bank is suspended; set spec.suspend to false to start it.');
  if (deployment === undefined) return waits('Waits for the Deployment.');
  // Pods are heard of on a watch of their own, which may lag behind.
  if (pods.length === 0 && (deployment.status?.availableReplicas ?? 0) > 0) return holds('Answers', 'A pod answers.');
  return judgePods(pods, { ...seen, deployment: deployment.status });
}

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
