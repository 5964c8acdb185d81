import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  ConfigError,
  databaseUrlSchema,
  isToolProfile,
  messageOf,
  SECRET_BANK_NAME,
  SECRET_DATABASE_URL,
  SECRET_EMBEDDINGS_KEY,
  SECRET_SEAL_KEYS,
  SECRET_TOOL_PROFILE,
  TOOL_PROFILES,
  type ToolProfile,
} from '@bankhouse/core';

/** How long a secret is used before its file is looked at again, in milliseconds. */
const RECHECK_MS = 1000;

/** The bank's secrets in force. Files are looked at again as time passes, so that a rotation needs no restart. */
export interface Secrets {
  /** Keys of the pod's seal by generation. */
  sealKeys(): ReadonlyMap<number, Uint8Array>;
  /** Of the database that the bank is in: what the file says, until `movedTo` says that it is elsewhere. */
  databaseUrl(): string;
  /**
   * The bank went from the database in force to this one, and its login with it. Believed until the file has another URL than now.
   *
   * @param place URL without a login
   */
  movedTo(place: string): void;
  /** Key of the endpoint for embeddings; undefined where there is none. */
  embeddingsKey(): string | undefined;
  /** The bank's name for people; undefined where it has none but its id. */
  bankName(): string | undefined;
  /** What the Bank says that is listed; undefined where it says nothing. */
  toolProfile(): ToolProfile | undefined;
  /** Looks at the files now: something was refused, and a rotation may be why. */
  refresh(): void;
}

/**
 * Reads the Secret that Kubernetes mounts at `dir`.
 *
 * @param onProblem told when a file became unreadable or malformed after the start; the last good value stays in force
 * @throws ConfigError when a file is missing or malformed at the start
 */
export function openSecrets(
  dir: string,
  options: { now?: () => number; onProblem?: (error: ConfigError) => void } = {},
): Secrets {
  const now = options.now ?? Date.now;
  const sealKeys = new WatchedFile(join(dir, SECRET_SEAL_KEYS), parseSealKeys, options.onProblem);
  const databaseUrl = new WatchedFile(join(dir, SECRET_DATABASE_URL), parseDatabaseUrl, options.onProblem);
  const embeddingsKey = new WatchedFile<string | undefined>(
    join(dir, SECRET_EMBEDDINGS_KEY),
    parseKey,
    options.onProblem,
    { optional: true },
  );
  const bankName = new WatchedFile<string | undefined>(join(dir, SECRET_BANK_NAME), parseName, options.onProblem, {
    optional: true,
  });
  const toolProfile = new WatchedFile<ToolProfile | undefined>(
    join(dir, SECRET_TOOL_PROFILE),
    parseToolProfile,
    options.onProblem,
    { optional: true },
  );
  /** Where the bank is, while the file still has `from`. */
  let moved: { from: string; url: string } | undefined;
  let checkedAt = now();
  const refresh = () => {
    checkedAt = now();
    sealKeys.check();
    databaseUrl.check();
    embeddingsKey.check();
    bankName.check();
    toolProfile.check();
  };
  const refreshIfDue = () => {
    if (now() - checkedAt >= RECHECK_MS) refresh();
  };
  return {
    sealKeys() {
      refreshIfDue();
      return sealKeys.value;
    },
    databaseUrl() {
      refreshIfDue();
      return moved?.from === databaseUrl.value ? moved.url : databaseUrl.value;
    },
    movedTo(place) {
      moved = { from: databaseUrl.value, url: withLoginOf(databaseUrl.value, place) };
    },
    embeddingsKey() {
      refreshIfDue();
      return embeddingsKey.value;
    },
    bankName() {
      refreshIfDue();
      return bankName.value;
    },
    toolProfile() {
      refreshIfDue();
      return toolProfile.value;
    },
    refresh,
  };
}

function withLoginOf(own: string, place: string): string {
  const { username, password } = new URL(own);
  return Object.assign(new URL(place), { username, password }).toString();
}

/** One file and the value it last had. Kubernetes swaps a symbolic link, so the inode behind the path tells of a change. */
class WatchedFile<T> {
  value: T;
  #seen: string;
  readonly #path: string;
  readonly #parse: (text: string, path: string) => T;
  readonly #onProblem: ((error: ConfigError) => void) | undefined;
  /** Then a missing file reads as an empty one. */
  readonly #optional: boolean;

  constructor(
    path: string,
    parse: (text: string, path: string) => T,
    onProblem?: (error: ConfigError) => void,
    options: { optional?: boolean } = {},
  ) {
    this.#path = path;
    this.#parse = parse;
    this.#onProblem = onProblem;
    this.#optional = options.optional ?? false;
    this.#seen = this.#fingerprint();
    this.value = this.#read();
  }

  check(): void {
    try {
      const seen = this.#fingerprint();
      if (seen === this.#seen) return;
      this.#seen = seen;
      this.value = this.#read();
    } catch (error) {
      this.#onProblem?.(error instanceof ConfigError ? error : new ConfigError(messageOf(error), { cause: error }));
    }
  }

  #fingerprint(): string {
    try {
      const { ino, mtimeMs, size } = statSync(this.#path);
      return `${ino}/${mtimeMs}/${size}`;
    } catch (error) {
      if (this.#optional && isMissing(error)) return 'none';
      throw unreadable(this.#path, error);
    }
  }

  #read(): T {
    let text = '';
    try {
      text = readFileSync(this.#path, 'utf8').trim();
    } catch (error) {
      if (!this.#optional || !isMissing(error)) throw unreadable(this.#path, error);
    }
    return this.#parse(text, this.#path);
  }
}

function isMissing(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'ENOENT';
}

function unreadable(path: string, error: unknown): ConfigError {
  return new ConfigError(
    `${path} can't be read (${messageOf(error)}): mount the bank's Secret at SECRET_DIR, with the keys ${SECRET_DATABASE_URL} and ${SECRET_SEAL_KEYS}.`,
    { cause: error },
  );
}

function parseSealKeys(text: string, path: string): ReadonlyMap<number, Uint8Array> {
  const wrong = () =>
    new ConfigError(`${path} is wrong: it must be JSON of the form {"<generation>": "<base64 of at least 32 bytes>"}.`);
  let entries: [string, unknown][];
  try {
    entries = Object.entries(JSON.parse(text) as Record<string, unknown>);
  } catch {
    throw wrong();
  }
  const keys = new Map<number, Uint8Array>();
  for (const [generation, encoded] of entries) {
    const key = typeof encoded === 'string' ? Buffer.from(encoded, 'base64') : Buffer.alloc(0);
    if (!/^[0-9]{1,9}$/.test(generation) || key.length < 32) throw wrong();
    keys.set(Number(generation), key);
  }
  if (keys.size === 0) throw wrong();
  return keys;
}

function parseDatabaseUrl(text: string, path: string): string {
  if (!databaseUrlSchema.safeParse(text).success) {
    throw new ConfigError(`${path} is wrong: it must have the form postgres://USER:PASSWORD@HOST:PORT/DATABASE.`);
  }
  return text;
}

function parseKey(text: string, path: string): string | undefined {
  if (text === '') return undefined;
  if (!/^[\x21-\x7e]{1,4096}$/.test(text)) {
    throw new ConfigError(`${path} is wrong: it must be one line of printable ASCII characters without blanks.`);
  }
  return text;
}

function parseName(text: string, path: string): string | undefined {
  if (text === '') return undefined;
  if (/\p{Cc}/u.test(text)) throw new ConfigError(`${path} is wrong: it must be one line without control characters.`);
  return text;
}

function parseToolProfile(text: string, path: string): ToolProfile | undefined {
  if (text === '') return undefined;
  if (!isToolProfile(text)) throw new ConfigError(`${path} is wrong: it must be one of ${TOOL_PROFILES.join(', ')}.`);
  return text;
}
