/** What a bank's pods say: K16 (the reason is in the pod), K10 (which version really answers), K2 (no object throws). */
import { childLabels } from '@bankhouse/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { answeringImage, judgePods, type StoredPod, servedVersion, trimPod } from '../src/decide/pods.ts';

const NOW = Date.parse('2026-01-01T01:00:00Z');
const ago = (seconds: number) => new Date(NOW - seconds * 1000).toISOString();
const OLD = 'registry.example.com/bankhouse/server:1.2.2';
const NEW = 'registry.example.com/bankhouse/server:1.2.3';
const selector = 'bankhouse.dev/bank=acme -n banks';

interface Change {
  image?: string;
  hash?: string;
  /** Seconds. */
  age?: number;
  phase?: string;
  state?: object;
  lastState?: object;
  started?: boolean;
  ready?: boolean;
  conditions?: readonly object[];
  metadata?: object;
  status?: object;
  init?: object;
}

const READY_TO_START = { type: 'PodReadyToStartContainers', status: 'True', lastTransitionTime: ago(60) };
const SCHEDULED = { type: 'PodScheduled', status: 'True', lastTransitionTime: ago(60) };
const NOT_READY = { type: 'Ready', status: 'False', reason: 'ContainersNotReady', lastTransitionTime: ago(60) };

/** A pod as the API server has it; by default it has just been made and starts. */
function aPod(change: Change = {}): StoredPod {
  const { image = NEW, hash = 'new', age = 2, phase = 'Pending', started = false, ready = false } = change;
  return trimPod({
    metadata: {
      name: `bank-acme-${hash}-x`,
      namespace: 'banks',
      uid: `uid-${hash}-${age}`,
      creationTimestamp: ago(age),
      labels: { ...childLabels('acme'), 'pod-template-hash': hash },
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `bank-acme-${hash}`, uid: 'r', controller: true },
      ],
      ...change.metadata,
    },
    spec: {
      containers: [{ name: 'server', image }],
      ...(change.init === undefined ? {} : { initContainers: [{ name: 'helper', image: 'helper:1' }] }),
    },
    status: {
      phase,
      conditions: change.conditions ?? [SCHEDULED, READY_TO_START, NOT_READY],
      containerStatuses: [
        {
          name: 'server',
          image,
          ready,
          started,
          state: change.state ?? { waiting: { reason: 'ContainerCreating' } },
          lastState: change.lastState ?? {},
        },
      ],
      ...(change.init === undefined ? {} : { initContainerStatuses: [{ name: 'helper', ...change.init }] }),
      ...change.status,
    },
  });
}

const waiting = (reason: string, message = '') => aPod({ state: { waiting: { reason, message } } });
const running = (seconds: number) => ({ running: { startedAt: ago(seconds) } });
const ended = (exitCode: number, message = '', reason = 'Error') => ({ terminated: { reason, exitCode, message } });
const aReadyPod = (change: Change = {}) =>
  aPod({
    phase: 'Running',
    state: running(50),
    started: true,
    ready: true,
    conditions: [SCHEDULED, READY_TO_START, { type: 'Ready', status: 'True', lastTransitionTime: ago(45) }],
    ...change,
  });
const anOldPod = (change: Change = {}) => aReadyPod({ image: OLD, hash: 'old', age: 5000, ...change });
const refused = (message: string) => ({
  updatedReplicas: 0,
  conditions: [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message }],
});

const judge = (pods: readonly StoredPod[], change: object = {}) =>
  judgePods(pods, { now: NOW, selector, wantedImage: NEW, ...change });

describe('why a bank does not answer (K16)', () => {
  const PULL =
    'rpc error: code = NotFound desc = failed to pull and unpack image "registry.example.com/bankhouse/server:1.2.3": failed to resolve reference "registry.example.com/bankhouse/server:1.2.3": registry.example.com/bankhouse/server:1.2.3: not found';

  test.each<{ sentence: string; pods: StoredPod[]; deployment?: object; reason: string; says: string[] }>([
    {
      sentence: 'an image that the registry does not have is named, with its words',
      pods: [waiting('ErrImagePull', PULL)],
      reason: 'ImagePullFails',
      says: [`"${NEW}" can't be pulled: not found.`, 'spec.image'],
    },
    {
      sentence: 'an image that may not be read is so',
      pods: [waiting('ImagePullBackOff', `Back-off pulling image "${NEW}": ErrImagePull: unauthorized: login first`)],
      reason: 'ImagePullFails',
      says: ["can't be pulled: unauthorized: login first."],
    },
    {
      sentence: 'an image whose name is none',
      pods: [waiting('InvalidImageName', 'Failed to apply default image tag "UPPER": invalid reference format')],
      reason: 'ImageNameInvalid',
      says: [NEW, 'spec.image'],
    },
    {
      sentence: 'an image that must be on the node and is not',
      pods: [waiting('ErrImageNeverPull', 'not present with pull policy of Never')],
      reason: 'ImagePullFails',
      says: ['imagePullPolicy'],
    },
    {
      sentence: 'a server that crashes says its exit code and its last line',
      pods: [
        aPod({
          phase: 'Running',
          state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s restarting failed container' } },
          lastState: ended(78, 'first line\nbankhouse server: BANK_ID is missing\n'),
        }),
      ],
      reason: 'PodCrashes',
      says: ['exit code 78', 'Its last line: bankhouse server: BANK_ID is missing.'],
    },
    {
      sentence: 'a server that has just crashed for the first time is told of at once',
      pods: [aPod({ phase: 'Running', state: ended(1, '{"level":"error","msg":"stopping failed","reason":"disk"}') })],
      reason: 'PodCrashes',
      says: ['Its last line: stopping failed: disk.'],
    },
    {
      sentence: 'a server between two crashes is no news, though it runs',
      pods: [aPod({ phase: 'Running', state: running(1), lastState: ended(1, 'no') })],
      reason: 'PodCrashes',
      says: ['exit code 1', 'Its last line: no.'],
    },
    {
      sentence: 'a password in a last line does not get into a status',
      pods: [aPod({ phase: 'Running', state: ended(1, 'cannot reach postgres://bank_a:geheim@db:5432/x') })],
      reason: 'PodCrashes',
      says: ['postgres://…@db:5432/x'],
    },
    {
      sentence: 'a server that takes too much memory',
      pods: [
        aPod({
          phase: 'Running',
          state: { waiting: { reason: 'CrashLoopBackOff' } },
          lastState: ended(137, '', 'OOMKilled'),
        }),
      ],
      reason: 'OutOfMemory',
      says: ['more memory than its limit', 'resources.limits.memory'],
    },
    {
      sentence: 'a server that is not in its image',
      pods: [aPod({ phase: 'Running', state: ended(128, 'exec: "/server": no such file or directory', 'StartError') })],
      reason: 'ContainerFails',
      says: ['exec: "/server": no such file or directory'],
    },
    {
      sentence: 'a container that the kubelet can not configure',
      pods: [waiting('CreateContainerConfigError', 'secret "bank-acme" not found')],
      reason: 'ContainerFails',
      says: ['CreateContainerConfigError', 'secret "bank-acme" not found'],
    },
    {
      sentence: 'an init container that fails is named',
      pods: [aPod({ init: { state: ended(2, 'no disk') } })],
      reason: 'PodCrashes',
      says: ['init container "helper"', 'exit code 2', 'no disk'],
    },
    {
      sentence: "a namespace's quota that has no room, without the name that each try makes up",
      pods: [],
      deployment: refused(
        'pods "bank-acme-7c9d5-x2x4z" is forbidden: exceeded quota: small, requested: requests.memory=64Mi, used: requests.memory=1Gi, limited: requests.memory=1Gi',
      ),
      reason: 'QuotaExceeded',
      says: ['pod: exceeded quota: small, requested: requests.memory=64Mi', 'ResourceQuota'],
    },
    {
      sentence: 'a runtime class that is not there',
      pods: [],
      deployment: refused('pods "bank-acme-7c9d5-" is forbidden: pod rejected: RuntimeClass "gvisor" not found'),
      reason: 'RuntimeClassMissing',
      says: ['RuntimeClass "gvisor" not found'],
    },
    {
      sentence: 'a policy that does not take the pod',
      pods: [],
      deployment: refused('pods "bank-acme-7c9d5-" is forbidden: violates PodSecurity "restricted:latest": hostPort'),
      reason: 'PodRefused',
      says: ['violates PodSecurity', selector],
    },
    {
      sentence: 'no room on any node, in the words of the scheduler',
      pods: [
        aPod({
          conditions: [
            {
              type: 'PodScheduled',
              status: 'False',
              reason: 'Unschedulable',
              message:
                '0/1 nodes are available: 1 Insufficient memory. preemption: 0/1 nodes are available: 1 No preemption victims found.',
            },
          ],
        }),
      ],
      reason: 'NoRoom',
      says: ['pod: 0/1 nodes are available: 1 Insufficient memory. Add nodes'],
    },
    {
      sentence: 'no scheduler at all',
      pods: [aPod({ age: 9, conditions: [], state: {} })],
      reason: 'NotScheduled',
      says: ['scheduler'],
    },
    {
      sentence: 'a volume, a Secret, a network that is not there holds the pod up for more than eight seconds',
      pods: [
        aPod({
          age: 9,
          conditions: [{ ...SCHEDULED, lastTransitionTime: ago(9) }, { ...READY_TO_START, status: 'False' }, NOT_READY],
        }),
      ],
      reason: 'NotPrepared',
      says: ['volume or Secret', selector],
    },
    {
      sentence: 'a kubelet that does not begin',
      pods: [aPod({ age: 9, conditions: [{ ...SCHEDULED, lastTransitionTime: ago(9) }], state: {} })],
      reason: 'NotPrepared',
      says: ['kubelet'],
    },
    {
      sentence: 'a pod that its node put out',
      pods: [
        aPod({
          phase: 'Failed',
          status: { reason: 'Evicted', message: 'The node was low on resource: memory. ', containerStatuses: [] },
        }),
      ],
      reason: 'Evicted',
      says: ['low on resource: memory. Another'],
    },
    {
      sentence: 'a pod that the kubelet does not admit',
      pods: [
        aPod({ phase: 'Failed', status: { reason: 'OutOfpods', message: 'Too many pods', containerStatuses: [] } }),
      ],
      reason: 'PodFails',
      says: ['OutOfpods', 'Too many pods'],
    },
    {
      sentence: 'a node that is lost, whose kubelet last said that the server is ready',
      pods: [aReadyPod({ conditions: [{ type: 'Ready', status: 'False', lastTransitionTime: ago(1) }] })],
      reason: 'NodeLost',
      says: ['node'],
    },
    {
      sentence: 'a server that does not come up',
      pods: [aPod({ phase: 'Running', age: 30, state: running(9) })],
      reason: 'NotReady',
      says: ['startup probe (/healthz)', 'kubectl logs'],
    },
    {
      sentence: 'a server that lost its readiness',
      pods: [aReadyPod({ ready: false, conditions: [{ ...NOT_READY, lastTransitionTime: ago(9) }] })],
      reason: 'NotReady',
      says: ['readiness probe (/readyz)'],
    },
  ])('$sentence', ({ pods, deployment, reason, says }) => {
    const verdict = judge(pods, { deployment });
    expect(verdict).toMatchObject({ status: 'False', reason });
    expect(verdict.inProgress).toBeUndefined();
    for (const words of says) expect(verdict.message).toContain(words);
    expect(verdict.message).not.toContain('geheim');
    expect(verdict.message.length).toBeLessThan(600);
    expect(verdict.message).toMatch(/\.$/);
  });

  test.each<{ sentence: string; pods: StoredPod[]; reason: string; lookAgainIn?: number }>([
    { sentence: 'no pod yet', pods: [], reason: 'PodStarts' },
    {
      sentence: 'a pod that has just been made',
      pods: [aPod({ conditions: [], state: {} })],
      reason: 'PodStarts',
      lookAgainIn: 6000,
    },
    {
      sentence: 'a pod whose node prepares it',
      pods: [
        aPod({
          conditions: [
            { ...SCHEDULED, lastTransitionTime: ago(3) },
            { ...READY_TO_START, status: 'False' },
          ],
        }),
      ],
      reason: 'PodStarts',
      lookAgainIn: 5000,
    },
    {
      sentence: 'a pod whose image is being fetched, for however long',
      pods: [aPod({ age: 500 })],
      reason: 'ImagePulls',
    },
    {
      sentence: 'a server that has just started',
      pods: [aPod({ phase: 'Running', state: running(1) })],
      reason: 'PodStarts',
      lookAgainIn: 7000,
    },
    {
      sentence: 'an init container that is done',
      pods: [aPod({ init: { state: ended(0, '', 'Completed') }, state: {}, age: 3 })],
      reason: 'PodStarts',
    },
    {
      sentence: 'a pod that is being deleted, whatever is wrong with it',
      pods: [aPod({ state: ended(1), metadata: { deletionTimestamp: ago(1) } })],
      reason: 'PodStarts',
    },
  ])('$sentence is on its way, and looked at again in time', ({ pods, reason, lookAgainIn }) => {
    const verdict = judge(pods);
    expect(verdict).toMatchObject({ status: 'False', reason, inProgress: true });
    expect(verdict.lookAgainIn).toBe(lookAgainIn);
  });

  test('what another controller made with the labels of the bank is not its pod', () => {
    const stray = aPod({
      metadata: { ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: 'x', controller: true }] },
    });
    expect(stray.metadata.labels).toBeUndefined();
    expect(aPod().metadata.labels).toEqual({ 'bankhouse.dev/bank': 'acme' });
  });

  test('the message of a pull that is tried again and again stays the same', () => {
    const tries = [
      waiting('ErrImagePull', PULL),
      waiting('ImagePullBackOff', `Back-off pulling image "${NEW}": ErrImagePull: ${PULL}`),
    ];
    expect(new Set(tries.map((pod) => judge([pod]).message)).size).toBe(1);
  });
});

describe('which version answers, and whether the wanted one comes (K10)', () => {
  const failing = waiting('ImagePullBackOff', 'not found');
  test.each<{
    sentence: string;
    pods: StoredPod[];
    deployment?: object;
    status: string;
    version: string | undefined;
    rollout: string;
  }>([
    {
      sentence: 'all pods run the wanted one',
      pods: [aReadyPod(), aReadyPod({ age: 3 })],
      status: 'True',
      version: '1.2.3',
      rollout: 'done',
    },
    {
      sentence: 'the new one starts while the old one answers',
      pods: [anOldPod(), aPod()],
      status: 'True',
      version: '1.2.2',
      rollout: 'running',
    },
    {
      sentence: 'both answer',
      pods: [aReadyPod(), anOldPod()],
      status: 'True',
      version: '1.2.2',
      rollout: 'running',
    },
    {
      sentence: 'the old one answers on its way out',
      pods: [aReadyPod(), anOldPod({ metadata: { deletionTimestamp: ago(1) } })],
      status: 'True',
      version: '1.2.3',
      rollout: 'done',
    },
    {
      sentence: "the new one's image is not there",
      pods: [anOldPod(), failing],
      status: 'False',
      version: '1.2.2',
      rollout: 'stuck',
    },
    {
      sentence: "the new one's image is not there, and the old pod was made anew since",
      pods: [failing, anOldPod({ age: 1 })],
      status: 'False',
      version: '1.2.2',
      rollout: 'stuck',
    },
    {
      sentence: 'quota has no room for the new one',
      pods: [anOldPod()],
      deployment: refused('pods "x" is forbidden: exceeded quota: small'),
      status: 'False',
      version: '1.2.2',
      rollout: 'stuck',
    },
    {
      sentence: 'the same image with another template crashes',
      pods: [aReadyPod({ hash: 'before', age: 5000 }), aPod({ phase: 'Running', state: ended(1, 'no') })],
      status: 'False',
      version: '1.2.3',
      rollout: 'stuck',
    },
    {
      sentence: 'a webhook gave the image another name',
      pods: [aReadyPod({ image: 'mirror.example.com/server:1.2.3' })],
      deployment: { updatedReplicas: 1 },
      status: 'True',
      version: '1.2.3',
      rollout: 'done',
    },
    {
      sentence: 'an evicted pod is left beside its successor',
      pods: [aPod({ phase: 'Failed', age: 50, status: { reason: 'Evicted' } }), aReadyPod()],
      status: 'True',
      version: '1.2.3',
      rollout: 'done',
    },
    { sentence: 'nothing is there', pods: [], status: 'False', version: undefined, rollout: 'none' },
  ])('$sentence', ({ pods, deployment, status, version, rollout }) => {
    const seen = { now: NOW, selector, wantedImage: NEW, deployment };
    expect(servedVersion(pods, seen)).toEqual({ version, rollout });
    const verdict = judgePods(pods, seen);
    expect(verdict.status).toBe(status);
    if (rollout === 'stuck') expect(verdict.message).toContain(`Meanwhile what ran before (${version}) answers.`);
  });

  test('without a word of what is wanted, the newest is', () => {
    expect(answeringImage([aReadyPod(), anOldPod()])).toBe(OLD);
    expect(answeringImage([])).toBeUndefined();
  });
});

describe('whatever is sent as a Pod', () => {
  const good = {
    metadata: {
      name: 'p',
      namespace: 'banks',
      uid: 'u',
      creationTimestamp: ago(5),
      labels: { ...childLabels('acme') },
    },
    spec: { containers: [{ name: 'server', image: NEW }], initContainers: [{ name: 'i', image: NEW }] },
    status: {
      phase: 'Running',
      reason: '',
      conditions: [SCHEDULED, READY_TO_START, NOT_READY],
      containerStatuses: [{ name: 'server', state: ended(1, 'x'), lastState: running(5), ready: true, started: true }],
    },
  };
  const paths = pathsOf(good);
  const broken = fc.oneof(
    fc.jsonValue({ maxDepth: 5 }),
    fc.record({ metadata: fc.jsonValue(), spec: fc.jsonValue(), status: fc.jsonValue() }),
    fc
      .array(fc.tuple(fc.constantFrom(...paths), fc.oneof(fc.jsonValue(), fc.constant('x'.repeat(100_000)))), {
        minLength: 1,
        maxLength: 4,
      })
      .map((changes) => changes.reduce((object, [path, value]) => replaced(object, path, value), good as object)),
  );

  test('is kept small, is judged, and never throws (K2)', () => {
    fc.assert(
      fc.property(fc.array(broken, { maxLength: 3 }), (objects) => {
        const pods = objects.map(trimPod);
        for (const pod of pods) expect(JSON.stringify(pod).length).toBeLessThan(80_000);
        const seen = { now: NOW, selector, wantedImage: NEW };
        const verdict = judgePods(pods, seen);
        expect(verdict.message.length).toBeLessThan(1200);
        expect(verdict.message).not.toMatch(/[\n\r\0]/);
        if (verdict.lookAgainIn !== undefined) expect(verdict.lookAgainIn).toBeGreaterThan(0);
        expect(['done', 'running', 'stuck', 'none']).toContain(servedVersion(pods, seen).rollout);
      }),
      { numRuns: 1000 },
    );
  });

  test('is trimmed once and for all: what is kept of a good pod names it as before', () => {
    const { metadata } = trimPod(good);
    expect(metadata).toEqual({ name: 'p', namespace: 'banks', uid: 'u' });
  });
});

/** Every place in an object. */
function pathsOf(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [[key], ...pathsOf(inner).map((path) => [key, ...path])]);
}

function replaced(object: object, path: readonly string[], value: unknown): object {
  const copy: object = structuredClone(object);
  let place = copy as Record<string, unknown>;
  for (const key of path.slice(0, -1)) {
    const inner = place[key];
    if (typeof inner !== 'object' || inner === null) return copy;
    place = inner as Record<string, unknown>;
  }
  place[path.at(-1) ?? ''] = value;
  return copy;
}
