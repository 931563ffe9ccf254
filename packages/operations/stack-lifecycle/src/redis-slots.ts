/** How many hash slots every Redis cluster has. */
export const slotCount = 16_384;

/** A slot that is being moved, as one of its two nodes notes it. */
export interface OpenSlot {
  readonly slot: number;
  /** Id of the node at the other end. */
  readonly peer: string;
  readonly importing: boolean;
}

/** One line of `CLUSTER NODES`. */
export interface ClusterNode {
  readonly id: string;
  /** Without port. */
  readonly address: string;
  /** The node that was asked. */
  readonly isMyself: boolean;
  /** Met, and not in doubt. */
  readonly isSettled: boolean;
  /** Of two nodes that claim a slot, the one with the higher epoch has it. */
  readonly epoch: number;
  readonly slots: number[];
  /** Told by the node itself alone. */
  readonly open: readonly OpenSlot[];
}

/** Reads the reply of `CLUSTER NODES` (Redis documentation, “Serialization format”). */
export function parseClusterNodes(text: string): readonly ClusterNode[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [id = '', endpoint = '', flags = '', , , , epoch = '', , ...words] = line.trim().split(' ');
      return {
        id,
        address: endpoint.slice(0, Math.max(0, endpoint.indexOf('@'))).replace(/:\d*$/, ''),
        isMyself: flags.split(',').includes('myself'),
        isSettled: !/handshake|fail|noaddr/.test(flags),
        epoch: Number(epoch),
        slots: words.flatMap(slotsOf),
        open: words.flatMap(openSlotOf),
      };
    });
}

/**
 * Whether every node knows of every other by the same epoch, and no two share one. Nodes that were born apart begin with the same, and the
 * cluster then gives one of them a higher one: had it handed slots over meanwhile, its claim of a moment ago would win against the new owner.
 */
export function areEpochsSettled(views: readonly (readonly ClusterNode[])[]): boolean {
  const members = views.map((view) => view.filter(({ isSettled }) => isSettled));
  const written = members.map((view) =>
    view
      .map(({ id, epoch }) => `${id} ${String(epoch)}`)
      .toSorted()
      .join(),
  );
  const epochs = (members[0] ?? []).map(({ epoch }) => epoch);
  return new Set(written).size <= 1 && new Set(epochs).size === epochs.length;
}

function slotsOf(word: string): number[] {
  const range = /^(\d+)(?:-(\d+))?$/.exec(word);
  if (range === null) return [];
  const from = Number(range[1]);
  const to = Number(range[2] ?? from);
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

// `[93->-id]` leaves for that node, `[77-<-id]` comes from it.
function openSlotOf(word: string): OpenSlot[] {
  const moving = /^\[(\d+)-([<>])-([0-9a-f]+)\]$/.exec(word);
  return moving === null ? [] : [{ slot: Number(moving[1]), peer: moving[3] ?? '', importing: moving[2] === '<' }];
}

/** How many slots each of `nodes` members should hold; the first ones take the remainder. */
export function targetShares(nodes: number): readonly number[] {
  return Array.from(
    { length: nodes },
    (_, index) => Math.floor(slotCount / nodes) + (index < slotCount % nodes ? 1 : 0),
  );
}

/** Turns sorted slots into inclusive ranges. */
export function slotRanges(slots: readonly number[]): readonly (readonly [number, number])[] {
  const ranges: [number, number][] = [];
  for (const slot of slots) {
    const last = ranges.at(-1);
    if (last?.[1] === slot - 1) last[1] = slot;
    else ranges.push([slot, slot]);
  }
  return ranges;
}

/** Slots that one node hands to another; both by their place in the list. */
export interface SlotMove {
  readonly from: number;
  readonly to: number;
  readonly slots: readonly number[];
}

/**
 * Which slots have to move for an even spread. Only nodes without slots take some, as an uneven but complete cluster may be the
 * user's own choice; with `finish`, a growth that was cut off, every node below its share does.
 */
export function planMoves(owned: readonly (readonly number[])[], finish: boolean): readonly SlotMove[] {
  const shares = targetShares(owned.length);
  const left = owned.map((slots) => [...slots]);
  const sizes = owned.map((slots) => slots.length);
  const moves: SlotMove[] = [];
  for (const [to, slots] of owned.entries()) {
    if (!finish && slots.length > 0) continue;
    for (const [from, source] of left.entries()) {
      const surplus = source.length - (shares[from] ?? 0);
      const wanted = Math.min(surplus, (shares[to] ?? 0) - (sizes[to] ?? 0));
      if (wanted <= 0 || from === to) continue;
      moves.push({ from, to, slots: source.splice(source.length - wanted, wanted) });
      sizes[to] = (sizes[to] ?? 0) + wanted;
    }
  }
  return moves;
}
