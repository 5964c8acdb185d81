import {
  type BankStatus,
  bankIdOf,
  bankUrl,
  childName,
  databaseRole,
  FINALIZER,
  type Logger,
  newestGeneration,
} from '@bankhouse/core';
import type { Outcome } from '@bankhouse/kube';
import type { EventRecorder } from '../cluster/events.ts';
import { ownerOf } from '../cluster/owner.ts';
import { bankPath } from '../cluster/paths.ts';
import { writeStatus } from '../cluster/status.ts';
import { phaseOf } from '../decide/phase.ts';
import { answeringImage, type StoredPod } from '../decide/pods.ts';
import { provenWith } from '../decide/proven.ts';
import { isSettled } from '../decide/server.ts';
import { fails, type Verdict } from '../decide/verdict.ts';
import { versionOf } from '../decide/version.ts';
import { type Conclusion, conditionsOf, createReconciler, type Step, summarize } from '../reconcile/index.ts';
import { serverImage } from '../resources/index.ts';
import { RESYNC_MS } from '../settings.ts';
import { claimStep } from './claim.ts';
import { classStep } from './class.ts';
import { childrenStep, podsStep, retireStep } from './cleanup.ts';
import { credentialsStep } from './credentials.ts';
import { databaseStep } from './database.ts';
import { finalizerStep, releaseStep } from './finalizer.ts';
import type { BankDeps, BankKind, BankSnapshot } from './kind.ts';
import { leftoversStep } from './leftovers.ts';
import { placeStep } from './place.ts';
import { confinementStep, handshakeStep, routeStep, serverStep } from './server.ts';

/** A bank that shall be. */
export const UPKEEP: readonly Step<BankKind>[] = [
  classStep,
  finalizerStep,
  claimStep,
  credentialsStep,
  placeStep,
  databaseStep,
  confinementStep,
  serverStep,
  leftoversStep,
  routeStep,
  handshakeStep,
];
/** A bank that shall go; what confines its pods goes last. */
export const CLEANUP: readonly Step<BankKind>[] = [podsStep, childrenStep, retireStep, releaseStep];

/** In the order in which a status has them, `Ready` apart. */
export const CONDITIONS = conditionsOf(UPKEEP);

export interface BankReconcilerOptions {
  deps: BankDeps;
  /** Keys of its pods. */
  podsOf(snapshot: { namespace: string; id: string }): readonly StoredPod[];
  events: EventRecorder;
  logger: Logger;
}

export function createBankReconciler(options: BankReconcilerOptions): (key: string) => Promise<Outcome> {
  const { deps, logger } = options;
  return createReconciler<BankKind>({
    gather: (key) => gather(key, options),
    lists: [UPKEEP, CLEANUP],
    steps: ({ bank }) => (isGoing(bank) ? CLEANUP : UPKEEP),
    object: ({ bank }) => bank,
    writeStatus: (conclusion) => conclude(conclusion, options),
    resync: RESYNC_MS,
    deps,
    clock: deps.clock,
    logger,
  });
}

function gather(key: string, { deps, podsOf }: BankReconcilerOptions): Readonly<BankSnapshot> | undefined {
  const bank = deps.caches.banks.get(key);
  if (bank === undefined) return undefined;
  if (isGoing(bank) && bank.metadata.finalizers?.includes(FINALIZER) !== true) return undefined;
  const id = bankIdOf(bank);
  const { namespace = '', uid = '' } = bank.metadata;
  return Object.freeze({
    key,
    id,
    uid,
    bank,
    owner: ownerOf('Bank', bank),
    hadId: bank.status?.incarnation === uid && bank.status.id === id,
    classes: deps.caches.classes.list(),
    child: { namespace, name: childName(id) },
    pods: podsOf({ namespace, id }),
    probe: deps.prober.get(uid),
  });
}

function isGoing({ metadata }: BankSnapshot['bank']): boolean {
  return metadata.deletionTimestamp !== undefined;
}

/** Writes the status and tells of a transition. */
async function conclude(
  conclusion: Conclusion<BankKind>,
  { deps, events }: BankReconcilerOptions,
): Promise<'configured' | 'unchanged'> {
  const { snapshot, report } = conclusion;
  const { bank } = snapshot;
  // A Bank that has just been let go has no status any more.
  if (isGoing(bank) && 'release' in report.outputs) return 'unchanged';
  const ready = readyOf(conclusion, deps);
  const wanted = statusOf(conclusion, ready, deps);
  // One `Starting` is as good as another while the answer is a moment away; the write is saved for that.
  const answerIsNear = report.outputs.route?.answerIsNear === true;
  if (answerIsNear && bank.status?.phase === 'Starting' && wanted.phase === 'Starting') return 'unchanged';
  const written = await writeStatus(deps.transport, deps.caches.banks, bankPath(bank), bank, wanted);
  if (written === 'unchanged') return written;
  const before = bank.status?.conditions?.find(({ type }) => type === 'Ready');
  const transition = isGoing(bank) ? undefined : transitionOf(before, ready);
  if (transition !== undefined) await events.record('Bank', bank.metadata, transition);
  return written;
}

function readyOf({ snapshot, report }: Conclusion<BankKind>, deps: BankDeps): Verdict {
  const ready = summarize(report.ended, `MCP clients connect at ${urlOf(snapshot, deps)}.`);
  return isGoing(snapshot.bank) ? fails('Deleting', `The bank is being deleted. ${ready.message}`) : ready;
}

function statusOf(
  { snapshot, report, verdicts, toConditions }: Conclusion<BankKind>,
  ready: Verdict,
  deps: BankDeps,
): BankStatus {
  const { bank } = snapshot;
  const deleting = isGoing(bank);
  const before = bank.status?.conditions ?? [];
  const told = CONDITIONS.flatMap((type) => {
    // While it goes, what no step speaks for stays as it was.
    const verdict = verdicts.get(type) ?? (deleting ? before.find((condition) => condition.type === type) : undefined);
    return verdict === undefined ? [] : [[type, verdict] as const];
  });
  return {
    ...keptOf(bank.status),
    ...('claim' in report.outputs
      ? identityOf(snapshot, report.outputs, verdicts.get('ServerReady')?.status === 'True', deps)
      : {}),
    observedGeneration: bank.metadata.generation ?? 1,
    phase: phaseOf(
      { deleting, suspended: bank.spec.suspend },
      { accepted: verdicts.get('Accepted'), database: verdicts.get('DatabaseReady'), ready },
    ),
    conditions: toConditions([...told, ['Ready', ready]]),
  };
}

/** A bank that is no longer accepted keeps saying what it runs as: nothing of it was taken away. */
function keptOf(status: BankStatus | undefined): Partial<BankStatus> {
  const { observedGeneration: _, phase: __, conditions: ___, ...kept } = status ?? {};
  return kept;
}

/** Who the bank is, once the database has said so. */
function identityOf(
  snapshot: Readonly<BankSnapshot>,
  outputs: Readonly<Partial<BankKind['outputs']>>,
  serverAnswers: boolean,
  deps: BankDeps,
): Partial<BankStatus> {
  const { id, uid, pods, bank, probe } = snapshot;
  const choice = outputs.class;
  const bankClass = choice?.kind === 'chosen' ? choice.bankClass : undefined;
  const wanted = bankClass === undefined ? undefined : serverImage(bankClass.spec, deps.settings);
  // Where no pod is left but those wanted, what answers is they; else it is as the pods say.
  const isWanted = serverAnswers && isSettled(outputs.server);
  const image = isWanted ? wanted : answeringImage(pods, wanted);
  const version = image === undefined ? bank.status?.version : versionOf(image);
  return {
    id,
    incarnation: uid,
    url: urlOf(snapshot, deps),
    ...(bankClass === undefined ? {} : { className: bankClass.metadata.name }),
    ...(version === undefined ? {} : { version }),
    databaseRole: databaseRole(uid, 'a'),
    // Undefined takes away what was said of a database that it has moved out of.
    ...('place' in outputs && outputs.place?.tenants !== undefined ? { database: outputs.place.status } : {}),
    ...('database' in outputs ? { keyGeneration: newestGeneration(deps.settings.ROOT_KEY) } : {}),
    ...provenWith(bank.status?.provenImages, probe?.provenImage),
  };
}

function urlOf({ id }: Pick<BankSnapshot, 'id'>, deps: BankDeps): string {
  return bankUrl(deps.settings.FRONT_DOOR_URL, id);
}

/**
 * What people are told by an Event: that a bank became ready, and that it is not for another reason than before. Of one that was not ready
 * anyhow, not a fault that all have: in an outage every new Bank would write one.
 */
export function transitionOf(
  before: { status: string; reason: string } | undefined,
  ready: Verdict,
): { type: 'Normal' | 'Warning'; reason: string; note: string } | undefined {
  const { reason, message: note } = ready;
  if (ready.status === 'True') return before?.status === 'True' ? undefined : { type: 'Normal', reason, note };
  const wasReady = before?.status === 'True';
  const isNoNews = ready.inProgress === true || ready.isShared === true || before?.reason === reason;
  if (!wasReady && isNoNews) return undefined;
  return { type: reason === 'Suspended' ? 'Normal' : 'Warning', reason, note };
}
