/** For expect.poll on what comes about without an event for us: its own limit of one second is a short time on a busy machine. */
export const SOON = { timeout: 10_000 };
