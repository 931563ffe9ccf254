/**
 * Names so that each comes after what it mentions, and otherwise in the order given. In a circle, which the server would not have let
 * anybody make, one of them comes first.
 */
export function inDependencyOrder(definitions: ReadonlyMap<string, string>): readonly string[] {
  const order: string[] = [];
  const seen = new Set<string>();
  const mentioned = (definition: string, self: string): readonly string[] => {
    const words = new Set(quotedNames(definition));
    return [...definitions.keys()].filter((name) => name !== self && words.has(name));
  };
  const visit = (name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    for (const other of mentioned(definitions.get(name) ?? '', name)) visit(other);
    order.push(name);
  };
  for (const name of definitions.keys()) visit(name);
  return order;
}

/** Every name between backticks, as the server writes all of them in definitions. */
export function quotedNames(definition: string): readonly string[] {
  return [...definition.matchAll(/`((?:[^`]|``)*)`/g)].map(([, name = '']) => name.replaceAll('``', '`'));
}
