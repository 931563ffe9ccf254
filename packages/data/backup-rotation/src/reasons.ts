/** Why a set is kept. */
export type KeepReason =
  | { readonly rule: 'daily' | 'weekly' | 'monthly'; readonly bucket: string }
  | { readonly rule: 'last'; readonly position: number }
  | { readonly rule: 'pinned' | 'newest' | 'future' | 'foreign' | 'unfinished' }
  | { readonly rule: 'newest-of-service' | 'last-verified'; readonly service: string }
  | { readonly rule: 'needed-by'; readonly id: string };

/** A reason as a few words, for a table. */
export function describeReason(reason: KeepReason): string {
  switch (reason.rule) {
    case 'daily':
      return `daily ${reason.bucket.slice(2)}`;
    case 'weekly':
      return `weekly ${reason.bucket.slice(2)}`;
    case 'monthly':
      return `monthly ${reason.bucket.slice(2)}`;
    case 'last':
      return `number ${String(reason.position)} of the last`;
    case 'newest-of-service':
      return `newest with ${reason.service}`;
    case 'last-verified':
      return `last verified of ${reason.service}`;
    case 'needed-by':
      return `needed by ${reason.id}`;
    default:
      return plain[reason.rule];
  }
}

const plain = {
  pinned: 'pinned',
  newest: 'newest complete',
  future: 'dated in the future: look at the clock',
  foreign: 'not ours',
  unfinished: 'unfinished, younger than 24 hours',
} as const;
