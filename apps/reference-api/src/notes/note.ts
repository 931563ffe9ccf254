/** What a user writes. */
export interface NoteContent {
  readonly title: string;
  readonly body: string;
}

/** A note as it is kept. */
export interface Note extends NoteContent {
  readonly id: string;
  /** Grows with every change. */
  readonly version: number;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** What can happen to a note. */
export type NoteEventKind = 'created' | 'updated' | 'deleted';

/** Something that happened to a note; the content is that after it. */
export interface NoteEvent extends NoteContent {
  /** Of the event: whoever sees it twice can tell. */
  readonly id: string;
  readonly kind: NoteEventKind;
  readonly noteId: string;
  readonly version: number;
  readonly occurredAt: string;
}
