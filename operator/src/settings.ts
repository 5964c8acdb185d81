import type { OperatorConfig } from './config.ts';
import type { Servers } from './placement/index.ts';

/** What builders and steps need of the configuration, frozen; clients and addresses are passed in ready made. */
export type Settings = Readonly<
  Pick<
    OperatorConfig,
    | 'FRONT_DOOR_URL'
    | 'ROOT_KEY'
    | 'DATABASE_URL'
    | 'DEDICATED_DATABASES'
    | 'SERVER_IMAGE'
    | 'PLATFORM_NAMESPACE'
    | 'DATABASE_EGRESS'
    | 'DNS_EGRESS'
    | 'LOG_LEVEL'
    | 'EMBEDDINGS_URL'
    | 'EMBEDDINGS_MODEL'
    | 'EMBEDDINGS_DIMENSIONS'
    | 'EMBEDDINGS_CA'
    | 'EMBEDDINGS_KEY'
    | 'EMBEDDINGS_EGRESS'
  > & {
    /** Besides the platform's own. */
    SERVERS: Servers;
  }
>;

/** A bank without news is looked at again so often, in milliseconds: drift in the database shows by then. */
export const RESYNC_MS = 600_000;
