import { API_VERSION, GROUP, type Logger, messageOf } from '@bankhouse/core';
import type { Clock, ObjectMeta, Transport } from '@bankhouse/kube';

const NOTE_MAX = 1000;

export interface EventRecorder {
  /** Tells people what happened to an object. Never fails: an event lost is not worth a retry. */
  record(
    kind: string,
    metadata: ObjectMeta,
    event: { type: 'Normal' | 'Warning'; reason: string; note: string },
  ): Promise<void>;
}

export function createEventRecorder(options: {
  transport: Transport;
  clock: Clock;
  instance: string;
  logger: Logger;
}): EventRecorder {
  const { transport, clock, instance, logger } = options;
  return {
    async record(kind, metadata, { type, reason, note }) {
      const { name, namespace = 'default', uid } = metadata;
      logger.info({ kind, namespace, name, event: reason, note }, 'transition');
      const now = clock.now();
      const suffix = `${now.toString(16)}${Math.floor(clock.random() * 0xffff).toString(16)}`;
      const body = {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: { name: `${name}.${suffix}`, namespace },
        eventTime: new Date(now).toISOString().replace('Z', '000Z'),
        reportingController: `${GROUP}/operator`,
        reportingInstance: instance,
        action: 'Reconcile',
        type,
        reason,
        note: note.slice(0, NOTE_MAX),
        regarding: { apiVersion: API_VERSION, kind, name, namespace, uid },
      };
      try {
        await transport.request('POST', `/apis/events.k8s.io/v1/namespaces/${namespace}/events`, { body });
      } catch (error) {
        logger.warn({ kind, namespace, name, event: reason, reason: messageOf(error) }, 'event not recorded');
      }
    },
  };
}
