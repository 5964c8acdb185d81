/** What a client takes as an answer; it says nothing, or that it takes anything: both. */
export interface Taken {
  readonly json: boolean;
  readonly stream: boolean;
}

/** What the SDK wants every client to say. */
export const TAKES_BOTH = 'application/json, text/event-stream';

const JSON_TYPE = /^(application\/(json|\*)|\*\/\*)\s*(;|$)/i;
const STREAM_TYPE = /^(text\/(event-stream|\*)|\*\/\*)\s*(;|$)/i;

export function takenBy(accept: string | undefined): Taken {
  const types = (accept ?? '').split(',').map((type) => type.trim());
  if (types.every((type) => type === '')) return { json: true, stream: true };
  return { json: types.some((type) => JSON_TYPE.test(type)), stream: types.some((type) => STREAM_TYPE.test(type)) };
}

/** An event stream that turned out to be one answer, or one that has to be passed on with what was read of it. */
export type Form =
  | { readonly kind: 'json'; readonly text: string }
  | { readonly kind: 'stream'; readonly read: readonly Uint8Array[] };

/**
 * Reads a stream of events until it is known what it is: the answer alone, when that comes first (a plain call, of which nothing
 * streams), or more. For a client that takes JSON only, what comes before the answer is left out.
 */
export async function formOf(
  stream: ReadableStreamDefaultReader<Uint8Array>,
  { stream: takesStream }: Taken,
): Promise<Form> {
  const read: Uint8Array[] = [];
  const decoder = new TextDecoder();
  let text = '';
  for (;;) {
    const { done, value } = await stream.read();
    if (value !== undefined) {
      read.push(value);
      text += decoder.decode(value, { stream: true });
    }
    const events = text.split(/\r?\n\r?\n/);
    text = events.pop() ?? '';
    for (const event of events) {
      const data = dataOf(event);
      if (data === undefined) continue;
      if (isAnswer(data)) return { kind: 'json', text: data };
      if (takesStream) return { kind: 'stream', read };
    }
    if (done) return { kind: 'stream', read };
  }
}

/**
 * All answers of a batch, once the stream of them has ended: JSON, as they would be to a client that takes no stream. They are bounded, as one
 * answer is (answer-budget.ts).
 */
export function answersOf(stream: string): string {
  const data = stream.split(/\r?\n\r?\n/).flatMap((event) => dataOf(event) ?? []);
  return `[${data.filter(isAnswer).join(',')}]`;
}

function dataOf(event: string): string | undefined {
  const lines = event.split(/\r?\n/).flatMap((line) => (line.startsWith('data:') ? [line.slice(5).trimStart()] : []));
  const data = lines.join('\n');
  return data === '' ? undefined : data;
}

function isAnswer(data: string): boolean {
  try {
    const message: unknown = JSON.parse(data);
    return (
      typeof message === 'object' && message !== null && 'id' in message && ('result' in message || 'error' in message)
    );
  } catch {
    return false;
  }
}
