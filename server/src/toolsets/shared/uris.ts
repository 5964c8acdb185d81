import { VAULT_ID_PATTERN } from '@bankhouse/core';
import { isRecordingId, isUuid } from './ids.ts';

const IS_ID = {
  vaults: (id: string) => VAULT_ID_PATTERN.test(id),
  recordings: isRecordingId,
  notes: isUuid,
  tasks: isUuid,
  comments: isUuid,
  chats: isUuid,
  chat_messages: isUuid,
};

/** What has a URI, by the plural that stands in it. */
export type ResourceKind = keyof typeof IS_ID;

export interface ResourceTarget {
  readonly kind: ResourceKind;
  /** Undefined for the list of all that are of this kind. */
  readonly id: string | undefined;
}

/** `bankhouse://<bank>/<kind>/<id>`, `bankhouse://<bank>/<kind>` for the list: an authority is what holds the names under it. */
export function resourceUri(bank: string, kind: ResourceKind, id?: string): string {
  return `bankhouse://${bank}/${kind}${id === undefined ? '' : `/${id}`}`;
}

/** Of the bank's own resources, and in the exact form only: no other spelling names the same thing. */
export function parseResourceUri(uri: string, bank: string): ResourceTarget | undefined {
  const prefix = `bankhouse://${bank}/`;
  if (!uri.startsWith(prefix)) return undefined;
  const [kind = '', id, ...rest] = uri.slice(prefix.length).split('/');
  if (rest.length > 0 || !isKind(kind)) return undefined;
  return id === undefined || IS_ID[kind](id) ? { kind, id } : undefined;
}

function isKind(text: string): text is ResourceKind {
  return Object.hasOwn(IS_ID, text);
}
