import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { BankhouseError, messageOf } from '@bankhouse/core';

/** Node's codes in words; what is not here has a message of its own that does. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'there is no right to it',
  EPERM: 'there is no right to it',
  EROFS: 'its file system takes no writing',
  ENOSPC: 'there is no space left',
  EDQUOT: 'there is no space left',
  EPIPE: 'whoever read it has gone away',
};

/** Why a file, or standard output, can't be used, in a few words. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return REASONS[code] ?? messageOf(error);
}

/** @param what the path, or what else a user knows it by */
export function unreadable(what: string, error: unknown): BankhouseError {
  return new BankhouseError('file_unreadable', `${what} can't be read: ${reasonOf(error)}.`, { cause: error });
}

/** A file's bytes as they come, opened when the first are asked for. @throws BankhouseError `file_unreadable` */
export async function* readChunks(path: string, highWaterMark = 64 * 1024): AsyncGenerator<Buffer> {
  const stream = createReadStream(path, { highWaterMark });
  try {
    for await (const chunk of stream) yield chunk as Buffer;
  } catch (error) {
    throw error instanceof Error && 'syscall' in error ? unreadable(path, error) : error;
  }
}

/** Finds out before anything else is begun. @throws BankhouseError `file_unreadable` */
export async function requireReadable(path: string): Promise<void> {
  try {
    await using file = await open(path);
    if ((await file.stat()).isDirectory()) throw Object.assign(new Error('a folder'), { code: 'EISDIR' });
  } catch (error) {
    throw unreadable(path, error);
  }
}
