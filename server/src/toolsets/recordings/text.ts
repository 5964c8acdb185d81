import type { Brief } from './schemas.ts';

/** `1 h 05 min`, `12 min`, `40 s`. */
export function formatDuration(seconds: number | null): string {
  if (seconds === null) return 'unknown length';
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** Position in a recording, `1:02:03` or `2:03`. */
export function formatPosition(seconds: number): string {
  const whole = Math.floor(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number) => String(value).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

const SHOWN_PARTICIPANTS = 4;

/** One line about a recording. */
export function briefLine(brief: Brief): string {
  const shown = brief.participants.slice(0, SHOWN_PARTICIPANTS).join(', ');
  const more = brief.participantCount - Math.min(brief.participants.length, SHOWN_PARTICIPANTS);
  const vaults = brief.vaultIds.length === 0 ? '' : ` [${brief.vaultIds.join(', ')}]`;
  return `${brief.startedAt.slice(0, 16).replace('T', ' ')} ${brief.title ?? '(no title)'}, ${formatDuration(brief.durationSeconds)}, ${shown}${more > 0 ? ` and ${more} more` : ''}${vaults}, id ${brief.id}`;
}
