import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { BankhouseError, databaseUrlSchema, type Environment, loadConfig, withPassword } from '@bankhouse/core';
import { z } from 'zod';
import { unreadable } from '../files.ts';
import { UsageError } from './errors.ts';

/** Options that every command takes, as typed. */
export interface GlobalOptions {
  url?: string;
  caFile?: string;
  adminUrl?: string;
  adminKeyFile?: string;
}

/** Which platform is meant, and what opens it. */
export interface Settings {
  /** Origin of the front door. */
  url: string;
  /** Path of the PEM of its CA, where that is not a public one. */
  caFile?: string;
  /** Origin of what takes the admin key; the front door does not. @throws UsageError when there is none */
  adminUrl(): string;
  /** @throws BankhouseError when there is none */
  adminKey(): string;
  /** Whether it is known where the admin key is, and who takes it. */
  hasAdmin: boolean;
  /** Whether it is the one of `make up` around the current folder, which needs no naming. */
  isLocal: boolean;
}

const STATE_FOLDER = '.cluster';
const platformSchema = z.object({
  frontDoor: z.string(),
  caFile: z.string().optional(),
  databaseUrl: z.string().optional(),
});

/**
 * Flags first, then BANKHOUSE_URL, BANKHOUSE_CA_FILE, BANKHOUSE_ADMIN_URL and BANKHOUSE_ADMIN_KEY_FILE, then what `make up` wrote to .cluster/ in
 * this folder or one above. What belongs to the local platform is never used for another URL.
 */
export function loadSettings(options: GlobalOptions, env: Environment, cwd: string): Settings {
  const local = findLocalPlatform(cwd);
  const wanted = options.url ?? nonEmpty(env.BANKHOUSE_URL);
  const url = checkFrontDoor(wanted ?? local?.url);
  const own = local?.url === url ? local : undefined;
  const caFile = options.caFile ?? nonEmpty(env.BANKHOUSE_CA_FILE) ?? own?.caFile;
  const keyFile = options.adminKeyFile ?? nonEmpty(env.BANKHOUSE_ADMIN_KEY_FILE) ?? own?.adminKeyFile;
  const adminUrl = options.adminUrl ?? nonEmpty(env.BANKHOUSE_ADMIN_URL) ?? own?.adminUrl;
  return {
    url,
    ...(caFile === undefined ? {} : { caFile: resolve(cwd, caFile) }),
    hasAdmin: keyFile !== undefined && adminUrl !== undefined,
    isLocal: own !== undefined,
    adminUrl() {
      if (adminUrl !== undefined) return checkOrigin(adminUrl, "control's port for the admin key");
      throw new UsageError(
        "Nobody is named who takes the admin key: run kubectl -n bankhouse-system port-forward service/bankhouse-control 8081, and give --admin-url or BANKHOUSE_ADMIN_URL as http://127.0.0.1:8081 (inside the cluster: the Service's port 8081).",
      );
    },
    adminKey() {
      if (keyFile === undefined) {
        throw new UsageError(
          'There is no admin key: name its file by --admin-key-file or BANKHOUSE_ADMIN_KEY_FILE (Secret bankhouse-keys, key admin-key).',
        );
      }
      const key = readText(resolve(cwd, keyFile), 'The admin key').trim();
      if (!/^[\x21-\x7e]+$/.test(key)) throw new BankhouseError('admin_key', `The file ${keyFile} holds no admin key.`);
      return key;
    },
  };
}

const databaseSchema = z.object({ DATABASE_URL: databaseUrlSchema, DATABASE_PASSWORD: z.string().optional() });

/** DATABASE_URL (or DATABASE_URL_FILE, DATABASE_PASSWORD_FILE), else the database of `make up`; never a flag, since others see those. */
export function databaseUrlOf(env: Environment, cwd: string): string {
  if ((env.DATABASE_URL ?? env.DATABASE_URL_FILE ?? '') === '') {
    const local = findLocalPlatform(cwd)?.databaseUrl;
    if (local !== undefined) return local;
  }
  const { DATABASE_URL, DATABASE_PASSWORD } = loadConfig(databaseSchema, env);
  return withPassword(DATABASE_URL, DATABASE_PASSWORD);
}

/** @param file a path, or 0 for standard input; @param what it is, as a sentence begins with it */
export function readText(file: string | 0, what: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw unreadable(file === 0 ? what : `${what} in ${file}`, error);
  }
}

function checkFrontDoor(url: string | undefined): string {
  if (url === undefined) {
    throw new UsageError(
      `There is no platform: run "make up", or name its front door by --url or BANKHOUSE_URL, such as https://mcp.example.com.`,
    );
  }
  return checkOrigin(url, 'front door');
}

function checkOrigin(url: string, what: string): string {
  const origin = URL.canParse(url) ? new URL(url) : undefined;
  if (
    origin === undefined ||
    !/^https?:$/.test(origin.protocol) ||
    !/^\/?$/.test(origin.pathname) ||
    origin.search !== ''
  ) {
    throw new UsageError(`"${url}" is no ${what}; give an origin such as https://mcp.example.com.`);
  }
  return origin.origin;
}

interface LocalPlatform {
  url: string;
  caFile?: string;
  adminUrl?: string;
  adminKeyFile?: string;
  databaseUrl?: string;
}

function findLocalPlatform(cwd: string): LocalPlatform | undefined {
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    const path = join(folder, STATE_FOLDER, 'platform.json');
    if (existsSync(path)) return readPlatform(path, folder);
    if (dirname(folder) === folder) return undefined;
  }
}

function readPlatform(path: string, root: string): LocalPlatform {
  try {
    const platform = platformSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
    const adminKeyFile = join(root, STATE_FOLDER, 'admin-key');
    const adminUrlFile = join(root, STATE_FOLDER, 'admin-url');
    return {
      url: platform.frontDoor,
      ...(platform.caFile === undefined ? {} : { caFile: resolve(root, platform.caFile) }),
      ...(existsSync(adminKeyFile) ? { adminKeyFile } : {}),
      ...(existsSync(adminUrlFile) ? { adminUrl: readFileSync(adminUrlFile, 'utf8').trim() } : {}),
      ...(platform.databaseUrl === undefined ? {} : { databaseUrl: platform.databaseUrl }),
    };
  } catch (error) {
    throw new BankhouseError('platform_json', `${path} is not what "make up" writes; run it again.`, { cause: error });
  }
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
