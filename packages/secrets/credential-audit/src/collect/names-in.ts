/**
 * The names of a folder that can be opened by them, in order. One that is no UTF-8 comes out of Node as another, under which nothing is found:
 * that is told, for it would look like a file that vanished.
 */
export function namesIn(names: readonly string[], onFault: (fault: string) => void): readonly string[] {
  const lost = names.filter((name) => name.includes('\uFFFD'));
  if (lost.length > 0) onFault(`${String(lost.length)} files with a name that is no UTF-8 cannot be read`);
  return names.filter((name) => !name.includes('\uFFFD')).toSorted();
}
