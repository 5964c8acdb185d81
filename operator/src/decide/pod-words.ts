/** What others wrote, made fit for a condition's message: one line, short, without secrets, and the same from try to try. */

const MAX_WORDS = 220;

/** One line without control characters, the user's part of URLs and a full stop at its end, cut at a length. */
export function quote(text: string, length = MAX_WORDS): string {
  const line = text
    .replace(/\p{C}+/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/(\w:\/\/)[^\s/@]*@/g, '$1…@')
    .replace(/(bearer\s+)[\w.~+/=-]+/gi, '$1…')
    .replace(/[.\s]+$/, '');
  return line.length <= length ? line : `${line.slice(0, length - 1).trimEnd()}…`;
}

/** The registry's words, without those of the kubelet and of the runtime around them, which differ from try to try. */
export function registryWords(message: string, image: string): string {
  const words = quote(message, message.length)
    .replace(/^Back-off pulling image "[^"]*"(: )?/, '')
    .replace(/^(ErrImagePull|ImagePullBackOff): /, '')
    .replace(/rpc error: code = \w+ desc = /g, '')
    .replace(/^(failed to pull and unpack image|failed to resolve reference|failed to resolve image) "[^"]*": /g, '')
    .replace(/^(failed to pull and unpack image|failed to resolve reference|failed to resolve image) "[^"]*": /g, '')
    .replaceAll(image === '' ? '\u0000' : image, 'it')
    .replace(/^it: /, '');
  return quote(words);
}

/** The API server's words about a pod that it does not take, without the name that each try makes up. */
export function refusalWords(message: string): string {
  return quote(message.replace(/^pods? "[^"]*" is forbidden: /, '').replace(/^error looking up [^:]*: /, ''));
}

/** The scheduler's words, without what it says about making room by force. */
export function schedulerWords(message: string): string {
  return quote(message.replace(/\s*preemption: .*$/s, ''));
}

/** The last line that a process wrote; of one of our log lines, which are JSON, what it says. */
export function lastLine(message: string): string {
  const line = message.trimEnd().split('\n').at(-1) ?? '';
  const told = readLogLine(line);
  return quote(told ?? line);
}

function readLogLine(line: string): string | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const { msg, reason } = JSON.parse(line) as { msg?: unknown; reason?: unknown };
    if (typeof msg !== 'string') return undefined;
    return typeof reason === 'string' ? `${msg}: ${reason}` : msg;
  } catch {
    return undefined;
  }
}
