// The table of a bench, and the verdict on each of its lines.
export const columns = ['| what | ours | peer | ratio | target | met |', '| --- | ---: | ---: | ---: | --- | --- |'];

export function line(row) {
  const ratio =
    row.ratio ?? (typeof row.ours === 'number' && typeof row.peer === 'number' ? row.ours / row.peer : undefined);
  const cells = [
    row.what,
    show(row.ours, row.unit),
    show(row.peer, row.unit),
    ratio === undefined || !Number.isFinite(ratio) ? '' : ratio.toFixed(2),
    row.target ?? '',
    verdict(row),
  ];
  return `| ${cells.join(' | ')} |`;
}

function verdict(row) {
  if (row.met === true) return 'yes';
  if (row.met === false) return '**no**';
  return row.target === undefined ? '' : 'not judged';
}

function show(value, unit) {
  if (typeof value !== 'number') return value ?? '';
  return `${Number(value.toPrecision(4))}${unit === undefined ? '' : ` ${unit}`}`;
}
