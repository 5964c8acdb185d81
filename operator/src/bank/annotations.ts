import type { Bank } from '@bankhouse/core';
import { JSON_PATCH_TYPE } from '@bankhouse/kube';
import { bankPath } from '../cluster/paths.ts';
import type { BankDeps } from './kind.ts';

/** A word that somebody put on the Bank was heard, once: the next time it takes another one. @throws ApiError where it is not there any more */
export async function takeOff(
  annotation: string,
  bank: Bank,
  { transport, caches }: Pick<BankDeps, 'transport' | 'caches'>,
): Promise<void> {
  const body = [
    { op: 'test', path: '/metadata/uid', value: bank.metadata.uid },
    { op: 'remove', path: `/metadata/annotations/${annotation.replace('/', '~1')}` },
  ];
  caches.banks.wrote(await transport.request<Bank>('PATCH', bankPath(bank), { body, contentType: JSON_PATCH_TYPE }));
}
