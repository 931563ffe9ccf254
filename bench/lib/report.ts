/** One measured line: ours beside the peer, and the target in words with its verdict. */
export interface Row {
  readonly what: string;
  /** Missing where it could not be measured. */
  readonly ours?: number;
  readonly peer?: number;
  readonly unit: string;
  readonly target?: string;
  readonly met?: boolean;
}

/** Prints the result as the one JSON document that `scripts/prove` reads. */
export function report(title: string, rows: readonly Row[], notes: readonly string[] = []): void {
  process.stdout.write(`${JSON.stringify({ title, rows, notes })}\n`);
}
