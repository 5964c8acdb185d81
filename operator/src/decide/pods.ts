import { BANK_SERVER_CONTAINER } from '@bankhouse/core';
import type { DeploymentStatus } from '../cluster/stored.ts';
import { type StoredContainer, type StoredPod, trimPod } from './pod-stored.ts';
import { lastLine, quote, refusalWords, registryWords, schedulerWords } from './pod-words.ts';
import { fails, holds, starting, type Verdict } from './verdict.ts';
import { versionOf } from './version.ts';

export { type StoredPod, trimPod };

/** A verdict from pods can change by the mere passing of time. */
export interface PodVerdict extends Verdict {
  /** Milliseconds until it must be judged anew, if nothing else happens before. */
  lookAgainIn?: number;
}

/** What is known beside the pods. */
export interface PodCircumstances {
  /** Milliseconds since 1970. */
  now: number;
  /** Of the Deployment: only its conditions tell of pods that can't even be made. */
  deployment?: Pick<DeploymentStatus, 'conditions' | 'updatedReplicas'> | undefined;
  /** The image that pods shall run; undefined: whatever the newest runs. */
  wantedImage?: string | undefined;
  /** For `kubectl`, such as `bankhouse.dev/bank=acme -n banks`. */
  selector: string;
}

/** What usually takes a second or two is told of when it takes longer than this: within ten seconds of its beginning (K16). */
const PATIENCE_MS = 8_000;

/**
 * What the pods of a bank say about whether it answers. Reasons, in the order in which they are looked for:
 *
 * | reason               | status        | when                                                                              |
 * |----------------------|---------------|-----------------------------------------------------------------------------------|
 * | Answers              | True          | a pod of the wanted template is Ready, or an older one while the new one starts   |
 * | QuotaExceeded        | False         | the namespace's quota has no room for the pod                                     |
 * | RuntimeClassMissing  | False         | the pod's RuntimeClass is not there                                               |
 * | PodRefused           | False         | the API server does not take the pod for another reason                           |
 * | ImageNameInvalid     | False         | the image's name can't be one                                                     |
 * | ImagePullFails       | False         | the registry does not give the image, or the node may not ask                     |
 * | OutOfMemory          | False         | a container was ended because it took more memory than its limit                  |
 * | PodCrashes           | False         | a container ended by itself                                                       |
 * | ContainerFails       | False         | the runtime can't make or start a container                                       |
 * | Evicted              | False         | the node put the pod out, and no other is there yet                               |
 * | PodFails             | False         | the pod failed as a whole for another reason                                      |
 * | NodeLost             | False         | the pod's node does not report any more                                           |
 * | NoRoom               | False         | no node has room for the pod, or suits it                                         |
 * | NotScheduled         | False         | no scheduler has looked at the pod for a while                                    |
 * | NotPrepared          | False         | its node can't prepare it for a while: a volume or Secret, network, runtime class |
 * | NotReady             | False         | its server runs for a while, and is not ready                                     |
 * | ImagePulls, PodStarts | False, in progress | on its way                                                                  |
 *
 * Where older pods answer while new ones can't, the verdict is that of the new ones and says so (K10): what is wanted is not there.
 */
export function judgePods(pods: readonly StoredPod[], seen: PodCircumstances): PodVerdict {
  const { wanted, older } = sortPods(pods, seen);
  if (wanted.some(isReady)) return holds('Answers', 'A pod answers.');
  const verdict = judgeRefusal(seen) ?? judgeNewest(wanted, seen);
  const answering = older.filter(isReady);
  if (answering.length === 0) return verdict;
  if (verdict.inProgress === true) {
    return {
      ...holds('Answers', 'A pod answers.'),
      ...(verdict.lookAgainIn === undefined ? {} : { lookAgainIn: verdict.lookAgainIn }),
    };
  }
  const versions = [...new Set(answering.map((pod) => versionOf(serverOf(pod)?.image ?? '')))].sort().join(', ');
  return { ...verdict, message: `${verdict.message} Meanwhile what ran before (${versions}) answers.` };
}

/** What ready pods run. */
export interface Served {
  /** Tag or digest, see `answeringImage`; undefined: no pod is ready. */
  version: string | undefined;
  /**
   * | rollout | pods of the wanted template                                       |
   * |---------|-------------------------------------------------------------------|
   * | done    | one is Ready, and no older one is there                           |
   * | running | are not all there is, and nothing is wrong with them              |
   * | stuck   | have a reason why none is Ready; `judgePods` says which           |
   * | none    | there is no pod at all, and nothing is wrong                      |
   */
  rollout: 'done' | 'running' | 'stuck' | 'none';
}

/** Which version is served, by pods that really are Ready and not by what was asked for (K10). */
export function servedVersion(pods: readonly StoredPod[], seen: PodCircumstances): Served {
  const image = answeringImage(pods, seen.wantedImage);
  return { version: image === undefined ? undefined : versionOf(image), rollout: rolloutOf(pods, seen) };
}

/**
 * The image that answers calls now: of the pods that are Ready; while old and new ones are, the old one, until it answers no more.
 *
 * @param wanted the image that pods shall run; undefined: that of the newest
 * @returns undefined where no pod is Ready
 */
export function answeringImage(pods: readonly StoredPod[], wanted?: string): string | undefined {
  const images = newestFirst(pods.filter(isReady)).flatMap((pod) => serverOf(pod)?.image ?? []);
  const expected = wanted ?? images[0];
  return images.find((image) => image !== expected) ?? images[0];
}

function rolloutOf(pods: readonly StoredPod[], seen: PodCircumstances): Served['rollout'] {
  const { wanted, older } = sortPods(pods, seen);
  if (wanted.some(isReady)) return older.length === 0 ? 'done' : 'running';
  const verdict = judgeRefusal(seen) ?? judgeNewest(wanted, seen);
  if (verdict.inProgress !== true) return 'stuck';
  return wanted.length + older.length === 0 ? 'none' : 'running';
}

/**
 * Pods of the template that is wanted now, newest first, and those of earlier ones. The wanted template is the newest that runs the wanted
 * image, or, where none does (an admission webhook wrote another name for it), the newest; none while the Deployment says that it
 * has no pod of it yet. Pods that are being deleted belong to the past, and so do failed ones of earlier templates.
 */
function sortPods(pods: readonly StoredPod[], { wantedImage, deployment }: PodCircumstances) {
  const staying = newestFirst(pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined));
  const fitting = staying.filter((pod) => wantedImage === undefined || serverOf(pod)?.image === wantedImage);
  const newest = deployment?.updatedReplicas === 0 ? undefined : (fitting[0] ?? (deployment ? staying[0] : undefined));
  const isWanted = (pod: StoredPod) => newest !== undefined && pod.template === newest.template;
  return { wanted: staying.filter(isWanted), older: staying.filter((pod) => !isWanted(pod) && !hasEnded(pod)) };
}

function newestFirst(pods: readonly StoredPod[]): StoredPod[] {
  return [...pods].sort((a, b) => (b.createdAt ?? 0) - (a.createdAt ?? 0));
}

function judgeRefusal({ deployment, selector }: PodCircumstances): PodVerdict | undefined {
  const failure = deployment?.conditions?.find(({ type, status }) => type === 'ReplicaFailure' && status === 'True');
  if (failure === undefined) return undefined;
  const words = refusalWords(failure.message ?? failure.reason ?? 'no reason given');
  if (/exceeded quota/i.test(words)) {
    return fails(
      'QuotaExceeded',
      `The namespace's quota has no room for the bank's pod: ${words}. Raise the ResourceQuota, or lower the resources of the bank or its class.`,
    );
  }
  if (/runtimeclass/i.test(words)) {
    return fails(
      'RuntimeClassMissing',
      `The bank's pod is not taken: ${words}. Create that RuntimeClass, or have pods run without it.`,
    );
  }
  return fails(
    'PodRefused',
    `The cluster refuses the bank's pod: ${words}. See "kubectl describe replicasets -l ${selector}".`,
  );
}

function judgeNewest(wanted: readonly StoredPod[], seen: PodCircumstances): PodVerdict {
  const living = wanted.filter((pod) => !hasEnded(pod));
  const verdicts = (living.length > 0 ? living : wanted.slice(0, 1)).map((pod) => judgePod(pod, seen));
  // What is wrong with one is worth more than that another starts.
  return verdicts.find(({ inProgress }) => inProgress !== true) ?? verdicts[0] ?? STARTING;
}

const STARTING: PodVerdict = starting('PodStarts', "The bank's pod is starting.");

type Rule = (pod: StoredPod, seen: PodCircumstances) => PodVerdict | undefined;

/** In this order; the first that knows what is wrong decides. */
const RULES: readonly Rule[] = [
  failedPod,
  lostNode,
  noNode,
  brokenContainer,
  unpreparedPod,
  pullingImage,
  unreadyServer,
];

function judgePod(pod: StoredPod, seen: PodCircumstances): PodVerdict {
  for (const rule of RULES) {
    const verdict = rule(pod, seen);
    if (verdict !== undefined) return verdict;
  }
  return STARTING;
}

function failedPod(pod: StoredPod): PodVerdict | undefined {
  if (!hasEnded(pod)) return undefined;
  const words = pod.message === '' ? '' : `: ${quote(pod.message)}`;
  if (pod.reason === 'Evicted') {
    return fails(
      'Evicted',
      `The node put the bank's pod out${words}. Another one is made; if it recurs, give banks more room.`,
    );
  }
  const ended = pod.containers.map((container) => judgeEnd(container)).find((verdict) => verdict !== undefined);
  return ended ?? fails('PodFails', `The bank's pod failed (${quote(pod.reason, 64) || 'no reason given'})${words}.`);
}

/** The node controller takes a pod's readiness away without a word of the containers, which stay as the kubelet last saw them. */
function lostNode(pod: StoredPod): PodVerdict | undefined {
  const { Ready } = pod.conditions;
  const server = serverOf(pod);
  const isSilent =
    Ready?.status === 'False' &&
    !/^(Containers|ReadinessGates)NotReady$/.test(Ready.reason) &&
    server?.isReady === true;
  if (!isSilent && Ready?.status !== 'Unknown' && pod.reason !== 'NodeLost') return undefined;
  return fails(
    'NodeLost',
    "The node of the bank's pod does not report any more. Look at the nodes; after some minutes a pod elsewhere takes its place.",
  );
}

function noNode(pod: StoredPod, seen: PodCircumstances): PodVerdict | undefined {
  const scheduled = pod.conditions.PodScheduled;
  if (scheduled?.status === 'True' || pod.phase !== 'Pending') return undefined;
  if (scheduled?.reason === 'SchedulingGated') {
    return starting('PodStarts', "The bank's pod is held back by a scheduling gate.");
  }
  if (scheduled?.status === 'False') {
    const words = schedulerWords(scheduled.message) || 'the scheduler gives no reason';
    return fails(
      'NoRoom',
      `No node takes the bank's pod: ${words}. Add nodes, free some, or lower the resources of the bank or its class.`,
    );
  }
  const message = "No scheduler has looked at the bank's pod. See whether kube-scheduler runs.";
  return afterPatience(pod.createdAt, seen.now, () => fails('NotScheduled', message));
}

function brokenContainer(pod: StoredPod, seen: PodCircumstances): PodVerdict | undefined {
  return pod.containers.map((container) => judgeContainer(container, seen)).find((verdict) => verdict !== undefined);
}

function judgeContainer(container: StoredContainer, { now }: PodCircumstances): PodVerdict | undefined {
  const { state, before, image, isInit, isReady } = container;
  if (state.kind === 'ended') return isInit && state.exitCode === 0 ? undefined : judgeEnd(container);
  if (state.kind === 'running') {
    // Between two crashes it runs for a moment: that is no news. Whether it holds this time shows later.
    const left = (state.since ?? 0) + PATIENCE_MS - now;
    const crash = isReady || isInit || before.kind !== 'ended' || left <= 0 ? undefined : judgeEnd(container);
    return crash === undefined ? undefined : { ...crash, lookAgainIn: Math.min(left, PATIENCE_MS) };
  }
  if (state.kind !== 'waiting') return undefined;
  const { reason, message } = state;
  switch (reason) {
    case '':
    case 'ContainerCreating':
    case 'PodInitializing':
      return undefined;
    case 'CrashLoopBackOff':
      return judgeEnd(container) ?? fails('PodCrashes', `The ${nameOf(container)} ends over and over.`);
    case 'InvalidImageName':
      return fails(
        'ImageNameInvalid',
        `"${quote(image)}" can't be the name of an image. Correct spec.image of the bank's BankClass.`,
      );
    case 'ErrImageNeverPull':
      return fails(
        'ImagePullFails',
        `The image "${quote(image)}" is not on the node, and imagePullPolicy forbids to pull it. Load it there, or allow pulling in the BankClass.`,
      );
    case 'ErrImagePull':
    case 'ImagePullBackOff':
    case 'ImageInspectError':
    case 'RegistryUnavailable':
    case 'SignatureValidationFailed': {
      const words = registryWords(message, image);
      return fails(
        'ImagePullFails',
        `The image "${quote(image)}" can't be pulled${words === '' ? '' : `: ${words}`}. Correct spec.image of the bank's BankClass, or let the nodes reach and read its registry.`,
      );
    }
    default:
      return fails(
        'ContainerFails',
        `The ${nameOf(container)} can't be started (${quote(reason, 64)})${message === '' ? '' : `: ${quote(message)}`}.`,
      );
  }
}

/** How a container ended, now or the time before. */
function judgeEnd(container: StoredContainer): PodVerdict | undefined {
  const end = [container.state, container.before].find((state) => state.kind === 'ended');
  if (end?.kind !== 'ended') return undefined;
  const { reason, exitCode, message } = end;
  if (reason === 'OOMKilled') {
    return fails(
      'OutOfMemory',
      `The ${nameOf(container)} was ended because it took more memory than its limit. Raise resources.limits.memory of the bank or its class.`,
    );
  }
  const line = lastLine(message);
  if (reason === 'ContainerCannotRun' || reason === 'StartError') {
    return fails('ContainerFails', `The ${nameOf(container)} can't be started${line === '' ? '' : `: ${line}`}.`);
  }
  const code = exitCode === undefined ? '' : ` with exit code ${exitCode}`;
  const said = line === '' ? 'It said nothing' : `Its last line: ${line}`;
  return fails('PodCrashes', `The ${nameOf(container)} ended${code}. ${said}.`);
}

function unpreparedPod(pod: StoredPod, seen: PodCircumstances): PodVerdict | undefined {
  const { PodScheduled, PodReadyToStartContainers } = pod.conditions;
  if (PodReadyToStartContainers?.status === 'True' || pod.containers.some(({ state }) => state.kind === 'running')) {
    return undefined;
  }
  if (PodReadyToStartContainers === undefined && pod.containers.every(({ state }) => state.kind === 'unknown')) {
    const message = `The kubelet of the pod's node has not begun with it. Look at the node, and at "kubectl describe pods -l ${seen.selector}".`;
    return afterPatience(PodScheduled?.since ?? pod.createdAt, seen.now, () => fails('NotPrepared', message));
  }
  const message = `The node can't prepare the bank's pod: a volume or Secret that is not there, the pod network, or the runtime class. The events say which: "kubectl describe pods -l ${seen.selector}".`;
  return afterPatience(PodScheduled?.since ?? pod.createdAt, seen.now, () => fails('NotPrepared', message));
}

function pullingImage(pod: StoredPod): PodVerdict | undefined {
  if (pod.conditions.PodReadyToStartContainers?.status !== 'True') return undefined;
  const creating = pod.containers.find(({ state }) => state.kind === 'waiting' && state.reason === 'ContainerCreating');
  if (creating === undefined) return undefined;
  return starting('ImagePulls', `The node fetches the image "${quote(creating.image)}", or is about to start it.`);
}

function unreadyServer(pod: StoredPod, seen: PodCircumstances): PodVerdict | undefined {
  const server = serverOf(pod);
  if (server?.state.kind !== 'running') return undefined;
  const stuck = server.isStarted
    ? `The bank's server runs, but its readiness probe (/readyz) fails; see "kubectl logs -l ${seen.selector}".`
    : `The bank's server runs, but does not answer its startup probe (/healthz); see "kubectl logs -l ${seen.selector}".`;
  const other = pod.containers.find(({ name, isInit, isReady }) => !isInit && !isReady && name !== server.name);
  const message =
    server.isReady && other !== undefined ? `The ${nameOf(other)} beside the bank's server is not ready.` : stuck;
  // Readiness that was lost is told from then on, and of a pod that starts from its start.
  const since = Math.max(server.state.since ?? 0, server.isStarted ? (pod.conditions.Ready?.since ?? 0) : 0);
  return afterPatience(since === 0 ? pod.createdAt : since, seen.now, () => fails('NotReady', message));
}

/** Nothing is said before something has taken too long; then what it is. */
function afterPatience(since: number | undefined, now: number, verdict: () => PodVerdict): PodVerdict {
  const left = (since ?? 0) + PATIENCE_MS - now;
  return left <= 0 ? verdict() : { ...STARTING, lookAgainIn: Math.min(left, PATIENCE_MS) };
}

/** Whether it is Ready and stays. */
export function isReady(pod: StoredPod): boolean {
  return pod.metadata.deletionTimestamp === undefined && pod.conditions.Ready?.status === 'True' && !hasEnded(pod);
}

function hasEnded({ phase }: StoredPod): boolean {
  return phase === 'Failed' || phase === 'Succeeded';
}

function serverOf(pod: StoredPod): StoredContainer | undefined {
  const main = pod.containers.filter(({ isInit }) => !isInit);
  return main.find(({ name }) => name === BANK_SERVER_CONTAINER) ?? main[0];
}

function nameOf({ name, isInit }: StoredContainer): string {
  if (name === BANK_SERVER_CONTAINER && !isInit) return "bank's server";
  return `${isInit ? 'init container' : 'container'} "${quote(name, 64)}"`;
}
