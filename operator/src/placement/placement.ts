import { createHash } from 'node:crypto';
import { BankhouseError, SERVER_DATABASE } from '@bankhouse/core';

/** Where a bank's rows live. */
export interface Placement {
  /** dedicated: a database of the bank's own; shared: the one that the server's other banks are in too. */
  isolation: 'shared' | 'dedicated';
  /** The Postgres: the platform's own, or that of a Secret in the platform's namespace. */
  server: { kind: 'platform' } | { kind: 'secret'; namespace: string; name: string };
  /** Name of the database there. */
  database: string;
}

/** What a class says of it. */
export interface WantedDatabase {
  isolation: 'shared' | 'dedicated';
  secretRef?: { name: string } | undefined;
}

/** What is common to all placements. */
export interface PlacementSettings {
  PLATFORM_NAMESPACE: string;
  /** Of the platform's own database. */
  DATABASE_URL: string;
}

/** Name of the placement in the platform's common database. */
export const COMMON_PLACEMENT = 'platform';

/**
 * Where the rows of a bank of this class are made. Where those are that it has already is what `control.bank_ids.placement` says.
 *
 * @param uid metadata.uid of the Bank: the name of a database of its own tells nothing of the tenant, as that of its login role
 * @param wanted `spec.database` of the class; undefined: the common database of the platform
 */
export function placementOf(uid: string, wanted: WantedDatabase | undefined, settings: PlacementSettings): Placement {
  const isolation = wanted?.isolation ?? 'shared';
  const name = wanted?.secretRef?.name;
  const own = isolation === 'dedicated' ? ownDatabase(uid) : undefined;
  return placed(name, own, settings);
}

/**
 * As it is written down: `platform`, `platform/<database>`, `secret:<name>` or `secret:<name>/<database>`. A database is named where it is
 * the bank's own; neither namespace nor host is in it, so that a platform that is put up again elsewhere finds its rows.
 */
export function placementName({ isolation, server, database }: Placement): string {
  const at = server.kind === 'platform' ? 'platform' : `secret:${server.name}`;
  return isolation === 'dedicated' ? `${at}/${database}` : at;
}

const NAME = /^(?:platform|secret:([a-z0-9][-a-z0-9.]*))(?:\/(bank_[0-9a-f]{24}))?$/;

/** The placement of a name. @throws BankhouseError `placement_unknown`: a later release may have written it */
export function parsePlacement(name: string, settings: PlacementSettings): Placement {
  const parts = NAME.exec(name);
  if (parts === null) {
    throw new BankhouseError('placement_unknown', `This release knows no placement of the form "${name}".`);
  }
  return placed(parts[1], parts[2], settings);
}

/** What a placement says, in parts. */
export interface Where {
  /** Name of a further server; undefined: the platform's own. */
  server: string | undefined;
  /** Name of a database of the bank's own there; undefined: the common one. */
  own: string | undefined;
}

/** @returns undefined for a name that this release does not know */
export function whereOf(placement: string): Where | undefined {
  const parts = NAME.exec(placement);
  return parts === null ? undefined : { server: parts[1], own: parts[2] };
}

/** For people, such as `the common database`. */
export function placementWords(placement: string): string {
  const where = whereOf(placement);
  if (where === undefined) return `the placement "${placement}"`;
  const database = where.own === undefined ? 'the common database' : "a database of the bank's own";
  return where.server === undefined ? database : `${database} on the server "${where.server}"`;
}

/** Whether both are of one isolation and server, whatever the databases are called; what this release does not know is like anything. */
export function isSameKind(one: string, other: string): boolean {
  const [a, b] = [NAME.exec(one), NAME.exec(other)];
  if (a === null || b === null) return true;
  return a[1] === b[1] && (a[2] === undefined) === (b[2] === undefined);
}

function placed(secret: string | undefined, own: string | undefined, settings: PlacementSettings): Placement {
  const server =
    secret === undefined
      ? ({ kind: 'platform' } as const)
      : ({ kind: 'secret', namespace: settings.PLATFORM_NAMESPACE, name: secret } as const);
  if (own !== undefined) return { isolation: 'dedicated', server, database: own };
  const common =
    secret === undefined
      ? decodeURIComponent(new URL(settings.DATABASE_URL).pathname.replace(/^\//, ''))
      : SERVER_DATABASE;
  return { isolation: 'shared', server, database: common };
}

function ownDatabase(uid: string): string {
  return `bank_${createHash('sha256').update(`bankhouse/database/${uid}`).digest('hex').slice(0, 24)}`;
}
