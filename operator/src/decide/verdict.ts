/** What a step found out about one condition. */
export interface Verdict {
  status: 'True' | 'False' | 'Unknown';
  /** One word in CamelCase, for programs. */
  reason: string;
  /** One sentence for people: what is wrong and what to do. It holds nothing that changes by itself. */
  message: string;
  /** Not true yet, but on its way there without anybody's help. */
  inProgress?: boolean;
  /** Of a fault that all have alike, as a database that is away: a log and the statuses tell of it, and no Event for each that waits. */
  isShared?: boolean;
}

export function holds(reason: string, message: string): Verdict {
  return { status: 'True', reason, message };
}

export function fails(reason: string, message: string): Verdict {
  return { status: 'False', reason, message };
}

export function starting(reason: string, message: string): Verdict {
  return { status: 'False', reason, message, inProgress: true };
}

export function waits(message: string): Verdict {
  return { status: 'Unknown', reason: 'Waiting', message, inProgress: true };
}
