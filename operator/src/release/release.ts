import { type Bank, CLASS_FINALIZER, FINALIZER, type Logger, messageOf } from '@bankhouse/core';
import { isApiError, JSON_PATCH_TYPE, type KubeObject, MERGE_PATCH_TYPE, type Transport } from '@bankhouse/kube';
import { BANK_CLASSES_PATH, BANKS_PATH, bankClassPath, bankPath } from '../cluster/paths.ts';
import type { Database } from '../database/index.ts';

export interface ReleaseOptions {
  transport: Transport;
  database: Pick<Database, 'release'>;
  /** Of the operator itself. */
  deployment: { namespace: string; name: string };
  /** Empty: all. Then classes are released too; an operator of some namespaces holds none. */
  namespaces: readonly string[];
  /** Resolves when no other operator works: this process holds the lease. */
  alone: Promise<void>;
  logger: Logger;
}

const PAGE = 500;

/**
 * Lets go of every Bank and class, before the platform is removed (`helm uninstall`): with nobody to take finalizers off, a Bank that is
 * deleted later would keep its namespace for ever. Nothing is deleted: an id is kept for its owner, and the rows with it.
 */
export async function release(options: ReleaseOptions): Promise<void> {
  const { transport, deployment, logger } = options;
  const scale = `/apis/apps/v1/namespaces/${deployment.namespace}/deployments/${deployment.name}/scale`;
  await transport.request('PATCH', scale, { body: { spec: { replicas: 0 } }, contentType: MERGE_PATCH_TYPE });
  await options.alone;
  let banks = 0;
  for (const path of bankPaths(options.namespaces)) {
    for await (const bank of list<Bank>(transport, path)) {
      await keep(bank, options);
      banks += await letGo(transport, bankPath(bank), bank, FINALIZER);
    }
  }
  let classes = 0;
  if (options.namespaces.length === 0) {
    for await (const bankClass of list(transport, BANK_CLASSES_PATH)) {
      classes += await letGo(transport, bankClassPath(bankClass.metadata.name), bankClass, CLASS_FINALIZER);
    }
  }
  logger.info({ banks, classes }, 'released');
}

function bankPaths(namespaces: readonly string[]): string[] {
  if (namespaces.length === 0) return [BANKS_PATH];
  return namespaces.map((namespace) => BANKS_PATH.replace(/\/banks$/, `/namespaces/${namespace}/banks`));
}

/** A database that is away keeps nobody from leaving: then the id stays as it is, this Bank's. */
async function keep(bank: Bank, { database, logger }: ReleaseOptions): Promise<void> {
  const { id, incarnation } = bank.status ?? {};
  if (id === undefined || incarnation === undefined) return;
  try {
    await database.release(id, incarnation, undefined);
  } catch (error) {
    logger.warn({ bank: id, reason: messageOf(error) }, 'the id could not be kept for its owner');
  }
}

/** All objects of a collection; none where the kind is not there any more. */
async function* list<T extends KubeObject>(transport: Transport, path: string): AsyncGenerator<T> {
  let next: string | undefined;
  do {
    const query = { limit: PAGE, ...(next === undefined ? {} : { continue: next }) };
    let page: { items: T[]; metadata: { continue?: string } };
    try {
      page = await transport.request('GET', path, { query });
    } catch (error) {
      if (isApiError(error, 'not_found')) return;
      throw error;
    }
    yield* page.items;
    next = page.metadata.continue || undefined;
  } while (next !== undefined);
}

/** @returns how many finalizers were taken off: one or none */
async function letGo(transport: Transport, path: string, object: KubeObject, finalizer: string): Promise<number> {
  const index = object.metadata.finalizers?.indexOf(finalizer) ?? -1;
  if (index === -1) return 0;
  const place = `/metadata/finalizers/${index}`;
  const body = [
    { op: 'test', path: '/metadata/uid', value: object.metadata.uid },
    { op: 'test', path: place, value: finalizer },
    { op: 'remove', path: place },
  ];
  try {
    await transport.request('PATCH', path, { body, contentType: JSON_PATCH_TYPE });
    return 1;
  } catch (error) {
    if (isApiError(error, 'not_found')) return 0;
    throw error;
  }
}
