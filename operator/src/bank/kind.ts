import type { Bank, BankClass, BankCondition, BankStatus } from '@bankhouse/core';
import type { Clock, Transport } from '@bankhouse/kube';
import type { Caches, Namespaces } from '../caches.ts';
import type { Applier } from '../cluster/apply.ts';
import type { Owner } from '../cluster/owner.ts';
import type { StoredChild } from '../cluster/stored.ts';
import type { DatabaseGate, TenantGate } from '../database/index.ts';
import type { ClassChoice } from '../decide/class.ts';
import type { StoredPod } from '../decide/pods.ts';
import type { Mover } from '../moving/index.ts';
import type { Places } from '../places.ts';
import type { ProbeResult, Prober } from '../probe/index.ts';
import { stepOf } from '../reconcile/index.ts';
import type { BankSecrets, ChildKind, ServerNames } from '../resources/index.ts';
import type { Settings } from '../settings.ts';
import type { Sightings } from '../sightings.ts';

/** Everything that a pass over one bank decides by, as it was when the pass began. */
export interface BankSnapshot {
  key: string;
  id: string;
  /** The Bank's uid: one life of the id. */
  uid: string;
  bank: Bank;
  owner: Owner;
  /** The id was given to this Bank before, by its status. */
  hadId: boolean;
  classes: readonly BankClass[];
  /** Of all its own children: they share namespace and name. */
  child: { namespace: string; name: string };
  pods: readonly StoredPod[];
  /** None before the bank answered, or had its time to. */
  probe: ProbeResult | undefined;
}

/** What steps act through. */
export interface BankDeps {
  transport: Transport;
  caches: Caches;
  namespaces: Namespaces;
  applier: Applier;
  places: Places;
  database: DatabaseGate;
  prober: Prober;
  settings: Settings;
  clock: Clock;
  /** What the database was last seen to have of a bank, by uid. */
  claimed: Sightings;
  ensured: Sightings;
  /** That its database is as status.database says, by uid. */
  placed: Sightings;
  /** Servers that rows of the class's banks in the namespace are on, by their status. */
  rowsOn(namespace: string, className: string): ServerNames;
  /** The class now has a bank, and must not vanish. */
  protect(className: string): void;
  /** Rows may be due to be erased now. */
  erase(): void;
  /** What moves banks from one placement into another, beside the passes. */
  mover: Mover;
  /** Tells people, by an Event. */
  told(bank: Bank, event: { type: 'Normal' | 'Warning'; reason: string; note: string }): void;
  /** A quarantine was lifted. */
  lifted(id: string): void;
}

export interface BankKind {
  snapshot: BankSnapshot;
  condition: Exclude<BankCondition, 'Ready'>;
  deps: BankDeps;
  outputs: {
    class: ClassChoice;
    finalizer: undefined;
    /** Name of the placement that its rows are in; unknown while the database is away. */
    claim: { placement: string } | { unknown: unknown };
    place: Place;
    credentials: BankSecrets;
    database: undefined;
    confinement: undefined;
    server: StoredChild | undefined;
    leftovers: undefined;
    route: { answerIsNear: boolean };
    handshake: undefined;
    pods: undefined;
    children: undefined;
    release: undefined;
  };
}

/** Where the database step brings the bank. */
export interface Place {
  /** Undefined: it is not known, and `away` says why. */
  tenants: TenantGate | undefined;
  away?: unknown;
  /** Of any database but the platform's common one, as it goes into the status. */
  status?: NonNullable<BankStatus['database']>;
  /** Why its schema is of an older generation. */
  problem?: string;
}

export const bankStep = stepOf<BankKind>();

export function childOf({ child }: BankSnapshot, kind: ChildKind) {
  return { kind, ...child } as const;
}
