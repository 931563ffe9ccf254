const quoted = String.raw`'(?:[^']|'')*'|"(?:[^"]|"")*"|(\$(?:[A-Za-z_]\w*)?\$)[\s\S]*?\1`;
const cast = String.raw`::(?:"(?:[^"]|"")*"|[a-z_][\w$]*)(?:\.(?:"(?:[^"]|"")*"|\w+))?(?: (?:varying|precision))?(?:\([\d, ]*\))?(?: with(?:out)? time zone)?(?:\[\])*`;
const token = new RegExp(String.raw`${quoted}|${cast}|[()\s]+|[\w$]+|[^\s]`, 'g');

/**
 * An expression without what PostgreSQL itself writes differently after a dump and a restore: parentheses, white space and casts outside
 * of quotes. `x = ANY (ARRAY['a'::varchar]::text[])` comes back as `x = ANY (ARRAY['a'::varchar::text])`.
 */
export function normalizeExpression(expression: string): string {
  let normal = '';
  let isApart = false;
  for (const [found] of expression.matchAll(token)) {
    if (found.startsWith('::') || /^[()\s]/.test(found)) {
      isApart = true;
      continue;
    }
    // What was apart stays so only where it would grow together.
    if (isApart && /\w$/.test(normal) && /^\w/.test(found)) normal += ' ';
    normal += found;
    isApart = false;
  }
  return normal;
}
