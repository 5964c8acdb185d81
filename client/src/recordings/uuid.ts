/** A UUID of the given version (RFC 9562 section 4) from at least 16 bytes, of which the first 16 count. */
export function uuidOf(bytes: Uint8Array, version: 4 | 8): string {
  const own = Buffer.from(bytes.subarray(0, 16));
  own[6] = ((own[6] ?? 0) & 0x0f) | (version << 4);
  own[8] = ((own[8] ?? 0) & 0x3f) | 0x80;
  return own.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
