/**
 * One thing has one name in all tools: `vaultId`, `kind` in the singular, `id`. What models say instead, older names of ours and what other
 * servers call it, is taken for it. Words are compared without case, `_`, `-` and blanks.
 */
const OTHER_WORDS: Readonly<Record<string, string>> = {
  id: 'uuid guid identifier entryid itemid rowid objectid recordid',
  kind: 'kinds entity entities entitytype entitykind type types itemtype objecttype table collection resourcetype',
  kinds: 'kind entity entities entitytype type types',
  vaultId: 'vault vaults vaultids vaultname folder folderid',
  recordingId: 'recording call callid meetingid',
  parentKind: 'parenttype parententity ontype kind entity type',
  parentId: 'parent onid noteid taskid recordingid',
  chatId: 'chat conversationid threadid parentid',
  replyTo: 'replytoid inreplyto parentmessageid',
  query: 'q search searchquery searchterm searchterms keyword keywords term terms text question phrase words',
  text: 'query content body draft',
  limit: 'max maximum count size pagesize perpage top topk k n first take maxresults numresults results',
  cursor: 'nextcursor pagetoken nextpagetoken continuation continuationtoken next',
  from: 'since start startdate starttime startat begin datefrom fromdate after createdafter startedafter',
  to: 'until till end enddate endtime endat dateto todate before createdbefore startedbefore',
  participant: 'participants attendee attendees person speaker email user',
  includeTotal: 'total withtotal counttotal',
  fromSeconds: 'start startseconds from starttime begin',
  toSeconds: 'end endseconds to endtime until',
  fromCharacter: 'offset start fromchar fromcharacters begin',
  characters: 'length maxcharacters maxchars chars size limit',
  title: 'name subject heading headline',
  body: 'content text markdown message description note comment',
  description: 'body content text markdown details notes',
  tags: 'tag labels label keywords',
  tag: 'tags label labels',
  dueAt: 'due duedate deadline dueon',
  dueAfter: 'duefrom duesince',
  dueBefore: 'dueuntil dueto',
  assignee: 'assignedto owner responsible assign',
  language: 'lang locale languagecode',
  status: 'state statuses',
  action: 'transition status operation event command verb',
  archived: 'archive isarchived includearchived',
  pinned: 'pin ispinned',
  sort: 'order orderby sortby sortorder ordering',
  version: 'ver rev revision expectedversion currentversion ifmatch etag',
  idempotencyKey: 'requestid clienttoken dedupekey key',
  filter: 'filters where condition conditions criteria',
  having: 'groupfilter havingfilter',
  select: 'fields columns return attributes properties',
  groupBy: 'group groups by groupby',
  aggregate: 'aggregates aggregation aggregations metrics measures compute functions',
  function: 'fn func op operation aggregate aggregation type',
  direction: 'dir order sort',
  field: 'column name property attribute key',
  op: 'operator comparison comparator operation',
  value: 'values val equals',
  as: 'alias name label',
  bucket: 'interval period granularity unit',
  timeZone: 'tz zone timezonename',
  minScore: 'threshold score minimumscore scorethreshold minsimilarity similarity',
  candidates: 'tags suggestions options candidatetags',
  operations: 'ops steps actions calls items',
  tool: 'name toolname operation function',
  arguments: 'args params parameters input arg payload',
  dryRun: 'dry preview simulate test',
  author: 'speaker sender by user',
  role: 'speakerrole senderrole',
  participants: 'participant attendees people members',
  updatedAfter: 'updatedsince changedafter modifiedafter changedsince',
  createdBy: 'creator author madeby',
  name: 'tool toolname',
};

/** Names of kinds that people use. */
export const KIND_WORDS: Readonly<Record<string, string>> = {
  call: 'recording',
  meeting: 'recording',
  message: 'chat_message',
  msg: 'chat_message',
  todo: 'task',
  conversation: 'chat',
};

/** What is longer is no word for anything. */
const LONGEST_WORD = 64;

const WORDS = new Map(Object.entries(OTHER_WORDS).map(([name, words]) => [name, new Set(words.split(' '))]));

/** Without what people spell in different ways. */
function bare(word: string): string {
  return word.toLowerCase().replace(/[_\-\s.]/g, '');
}

/** Without the plural's ending: `entries`, `notes`. */
export function singular(word: string): string {
  return word.replace(/ies$/, 'y').replace(/s$/, '');
}

/**
 * The name that is meant by a word which is none of `names`; undefined where that can't be told. Another spelling goes before a
 * plural, and that before another word.
 */
export function meantName(word: string, names: readonly string[]): string | undefined {
  if (word.length > LONGEST_WORD) return undefined;
  const given = bare(word);
  return (
    names.find((name) => bare(name) === given) ??
    names.find((name) => singular(bare(name)) === singular(given)) ??
    names.find((name) => WORDS.get(name)?.has(given) === true)
  );
}

/** The value of `values` that is meant: in another case or spelling, in the plural, or by another word for a kind. */
export function meantValue(word: string, values: readonly string[]): string | undefined {
  if (word.length > LONGEST_WORD) return undefined;
  const given = singular(bare(word));
  const found =
    values.find((value) => bare(value) === bare(word)) ?? values.find((value) => singular(bare(value)) === given);
  if (found !== undefined) return found;
  const kind = KIND_WORDS[given];
  return kind !== undefined && values.includes(kind) ? kind : undefined;
}

const SHOWN_NEAREST = 2;

/** Those of `names` that look or sound like the word, nearest first; two at most. */
export function nearestNames(word: string, names: readonly string[]): string[] {
  return names
    .map((name) => ({ name, distance: distanceOf(word, name) }))
    .filter(({ name, distance }) => distance <= Math.max(1, Math.floor(Math.max(name.length, word.length) / 3)))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, SHOWN_NEAREST)
    .map(({ name }) => name);
}

/** Letters to change; a word in common, as `vault` of `vaultName` and `vaultId`, is as near as a slip of the finger. */
function distanceOf(word: string, name: string): number {
  const [given, known] = [bare(word.slice(0, LONGEST_WORD)), bare(name)];
  if (partsOf(word).some((part) => part.length > 1 && partsOf(name).includes(part))) return 1;
  return editDistance(given, known);
}

function partsOf(word: string): string[] {
  return word
    .slice(0, LONGEST_WORD)
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z]+/)
    .map(singular);
}

/** Insertions, deletions and replacements (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
