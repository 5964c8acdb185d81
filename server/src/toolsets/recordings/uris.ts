import { VAULT_ID_PATTERN } from '@bankhouse/core';
import { isRecordingId } from '../shared/ids.ts';

/** `bankhouse://<bank>/vaults/<id>` and `bankhouse://<bank>/recordings/<id>`: an authority is what holds the names under it. */
export function vaultUri(bank: string, id: string): string {
  return `bankhouse://${bank}/vaults/${id}`;
}

export function recordingUri(bank: string, id: string): string {
  return `bankhouse://${bank}/recordings/${id}`;
}

/** The exact form only: no other spelling names the same thing. */
export function parseUri(uri: string, bank: string): { kind: 'vault' | 'recording'; id: string } | undefined {
  const [, kind, id = ''] = new RegExp(`^bankhouse://${bank}/(vaults|recordings)/([a-z0-9-]{1,64})$`).exec(uri) ?? [];
  if (kind === 'vaults' && VAULT_ID_PATTERN.test(id)) return { kind: 'vault', id };
  if (kind === 'recordings' && isRecordingId(id)) return { kind: 'recording', id };
  return undefined;
}
