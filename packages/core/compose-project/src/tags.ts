import { isAlias, isMap, isNode, isScalar, isSeq, type Document, type Node, type YAMLMap, type YAMLSeq } from 'yaml';
import { isRecord, type PathStep } from './cursor.ts';
import { nameLists, named } from './merge.ts';

/**
 * Finds `!reset` and `!override` in a document. Gives the paths whose values in earlier files do not count, and takes what is marked
 * `!reset` out of the document. Inside of what is marked, tags have no meaning (as compose does it).
 */
export function takeTags(document: Document.Parsed): readonly (readonly PathStep[])[] {
  const cleared: (readonly PathStep[])[] = [];
  const root = document.contents;
  if (isMap(root) || isSeq(root)) visitItems(root, [], { document, cleared, ancestors: new Set() });
  return cleared;
}

interface Walk {
  readonly document: Document.Parsed;
  readonly cleared: (readonly PathStep[])[];
  readonly ancestors: Set<Node>;
}

function visitItems(node: YAMLMap | YAMLSeq, path: readonly PathStep[], walk: Walk): void {
  // An alias inside of its own anchor has no end.
  if (walk.ancestors.has(node)) return;
  walk.ancestors.add(node);
  if (isMap(node)) node.items = node.items.filter((pair) => isKept(pair.value, below(path, pair.key), walk));
  else node.items = node.items.filter((item, index) => isKept(item, [...path, index], walk));
  walk.ancestors.delete(node);
}

// A mapping that is merged in (`<<`) stands where it is merged.
function below(path: readonly PathStep[], key: unknown): readonly PathStep[] {
  const name = isScalar(key) ? String(key.value) : String(key);
  return name === '<<' ? path : [...path, name];
}

function isKept(item: unknown, path: readonly PathStep[], walk: Walk): boolean {
  const node = isAlias(item) ? item.resolve(walk.document) : item;
  if (!isNode(node)) return true;
  if (node.tag === '!reset' || node.tag === '!override') walk.cleared.push(path);
  else if (isMap(node) || isSeq(node)) visitItems(node, path, walk);
  return node.tag !== '!reset';
}

/** The value without what is at the path. Items of lists stay, as in compose; lists of names count as mappings. */
export function without(value: unknown, path: readonly PathStep[], key: PathStep = ''): unknown {
  const [step, ...rest] = path;
  const place = Array.isArray(value) && typeof key === 'string' && nameLists.has(key) ? named(value) : value;
  if (step === undefined || !isRecord(place) || !Object.hasOwn(place, step)) return value;
  const entries = Object.entries(place);
  if (rest.length === 0) return Object.fromEntries(entries.filter(([name]) => name !== step));
  return Object.fromEntries(entries.map(([name, child]) => [name, name === step ? without(child, rest, step) : child]));
}
