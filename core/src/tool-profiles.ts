/** How much of a bank's tools its list of tools shows; each of them can be called in every profile (ADR 27). */
export const TOOL_PROFILES = ['full', 'compact', 'search'] as const;
export type ToolProfile = (typeof TOOL_PROFILES)[number];

/** Of the query of a bank's URL. */
export const TOOL_PROFILE_PARAMETER = 'tools';

/** A sentence for whoever sent another value, or several. */
export const TOOL_PROFILE_UNKNOWN = `In the URL, ?${TOOL_PROFILE_PARAMETER}= takes one of ${TOOL_PROFILES.join(', ')}, once.`;

export function isToolProfile(value: unknown): value is ToolProfile {
  return TOOL_PROFILES.includes(value as ToolProfile);
}

/**
 * The profile that the query of a request target names: `unknown` for what is none of the three or comes more than once, undefined where it
 * says nothing of tools.
 */
export function toolProfileOf(target: string): ToolProfile | 'unknown' | undefined {
  const query = target.indexOf('?');
  if (query === -1) return undefined;
  const [value, ...others] = new URLSearchParams(target.slice(query)).getAll(TOOL_PROFILE_PARAMETER);
  if (value === undefined) return undefined;
  return others.length === 0 && isToolProfile(value) ? value : 'unknown';
}
