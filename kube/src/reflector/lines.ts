/**
 * Longest line taken, in bytes: etcd refuses objects over 1.5 MiB, of which JSON makes six times as much where a text is all
 * control characters. A line that is refused would break the watch at the same place for ever.
 */
const MAX_LINE_BYTES = 16 * 1024 * 1024;
const NEWLINE = 10;

/** The lines of a stream of bytes, without their newline; an unfinished last line is an error, since it was cut off. */
export async function* lines(parts: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  for await (const part of parts) {
    let start = 0;
    for (let end = part.indexOf(NEWLINE); end !== -1; end = part.indexOf(NEWLINE, start)) {
      held.push(part.subarray(start, end));
      yield Buffer.concat(held).toString('utf8');
      held = [];
      heldBytes = 0;
      start = end + 1;
    }
    if (start < part.length) {
      held.push(part.subarray(start));
      heldBytes += part.length - start;
      if (heldBytes > MAX_LINE_BYTES) throw new Error(`a line is longer than ${MAX_LINE_BYTES} bytes`);
    }
  }
  if (heldBytes > 0) throw new Error('the stream ended inside a line');
}
