const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const LEGACY_CALL = /^fathom-[1-9][0-9]{0,18}$/;

/** In lower case, as Postgres writes it. */
export function isUuid(value: string): boolean {
  return UUID.test(value);
}

/** Of the new table or the old one. */
export function isRecordingId(value: string): boolean {
  return UUID.test(value) || LEGACY_CALL.test(value);
}
