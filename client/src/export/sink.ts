import { once } from 'node:events';
import { type FileHandle, open } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { BankhouseError } from '@bankhouse/core';
import { reasonOf } from '../files.ts';

/** Where lines go. */
export interface Sink {
  /** One line, without its line feed. */
  line(text: string): Promise<void>;
  /** What was written so far is there for good; nothing more comes. */
  close(): Promise<void>;
}

const BUFFER_CHARACTERS = 1024 * 1024;

abstract class BufferedSink implements Sink {
  private waiting: string[] = [];
  private characters = 0;

  async line(text: string): Promise<void> {
    this.waiting.push(text, '\n');
    this.characters += text.length + 1;
    if (this.characters >= BUFFER_CHARACTERS) await this.flush();
  }

  async close(): Promise<void> {
    await this.flush();
    await this.finish();
  }

  protected abstract put(text: string): Promise<void>;
  protected abstract finish(): Promise<void>;

  private async flush(): Promise<void> {
    const text = this.waiting.join('');
    this.waiting = [];
    this.characters = 0;
    if (text !== '') await this.put(text);
  }
}

class FileSink extends BufferedSink {
  private readonly handle: FileHandle;
  private readonly path: string;
  private position: number;

  constructor(handle: FileHandle, path: string, position: number) {
    super();
    this.handle = handle;
    this.path = path;
    this.position = position;
  }

  protected async put(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await attempt(this.path, () =>
        this.handle.write(bytes, done, bytes.length - done, this.position),
      );
      done += bytesWritten;
      this.position += bytesWritten;
    }
  }

  protected async finish(): Promise<void> {
    await attempt(this.path, () => this.handle.sync());
    await this.handle.close();
  }
}

class StreamSink extends BufferedSink {
  private readonly stream: Writable;
  private failure: Error | undefined;

  constructor(stream: Writable) {
    super();
    this.stream = stream;
    stream.on('error', (error) => {
      this.failure = error;
    });
  }

  protected async put(text: string): Promise<void> {
    await attempt('standard output', async () => {
      if (this.failure !== undefined) throw this.failure;
      if (!this.stream.write(text)) await once(this.stream, 'drain');
    });
  }

  protected async finish(): Promise<void> {}
}

export function toStream(stream: Writable): Sink {
  return new StreamSink(stream);
}

/** A file for its owner alone, since it holds what people said. @throws BankhouseError `file_exists`, `file_unwritable` */
export async function toNewFile(path: string, options: { overwrite: boolean }): Promise<Sink> {
  try {
    return new FileSink(await open(path, options.overwrite ? 'w' : 'wx', 0o600), path, 0);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') {
      throw new BankhouseError(
        'file_exists',
        `${path} exists already; name another file, or go on with an interrupted export by --resume.`,
      );
    }
    throw unwritable(path, error);
  }
}

/** Goes on with a file at this offset, behind which nothing is kept, and puts another first line, as long as the old one, in front. */
export async function toOldFile(path: string, offset: number, firstLine: string): Promise<Sink> {
  return attempt(path, async () => {
    const handle = await open(path, 'r+');
    try {
      await handle.truncate(offset);
      await handle.write(firstLine, 0);
      return new FileSink(handle, path, offset);
    } catch (error) {
      await handle.close();
      throw error;
    }
  });
}

async function attempt<T>(what: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    throw unwritable(what, error);
  }
}

function unwritable(what: string, error: unknown): BankhouseError {
  return new BankhouseError('file_unwritable', `${what} can't be written: ${reasonOf(error)}.`, { cause: error });
}
