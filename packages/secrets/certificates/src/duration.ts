/** Milliseconds. */
export const secondMs = 1000;
export const minuteMs: number = 60 * secondMs;
export const hourMs: number = 60 * minuteMs;
export const dayMs: number = 24 * hourMs;

/** How long each kind of certificate lives unless told otherwise. */
export const defaultTtlS: { readonly root: number; readonly intermediate: number; readonly leaf: number } = {
  root: (10 * 365.25 * dayMs) / secondMs,
  intermediate: (3 * 365.25 * dayMs) / secondMs,
  leaf: (90 * dayMs) / secondMs,
};

/** How far before the signer's clock a certificate begins. Authorities outlive a clock that is a day behind; leaves need no more than drift. */
export const backdateMs: { readonly authority: number; readonly leaf: number } = {
  authority: dayMs + hourMs,
  leaf: 5 * minuteMs,
};

/** A short text for people: `3 days`, `40 seconds`. */
export function humanDuration(ms: number): string {
  const size = Math.abs(ms);
  const [unit, name] =
    size >= 2 * dayMs
      ? [dayMs, 'days']
      : size >= 2 * hourMs
        ? [hourMs, 'hours']
        : size >= 2 * minuteMs
          ? [minuteMs, 'minutes']
          : [secondMs, 'seconds'];
  return `${String(Math.round(size / unit))} ${name}`;
}
