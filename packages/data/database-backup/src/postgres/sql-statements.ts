/**
 * Splits a script of pg_dumpall into statements, without comments, psql's own commands and the semicolons. Quotes of every kind are
 * respected. `isComplete` tells whether the script ended between statements.
 */
export function splitStatements(script: string): {
  readonly statements: readonly string[];
  readonly isComplete: boolean;
} {
  const statements: string[] = [];
  let current = '';
  let at = 0;
  while (at < script.length) {
    const token = tokenAt(script, at, current.trim() === '');
    if (token === undefined) return { statements, isComplete: false };
    at += token.text.length;
    if (token.kind === 'end') {
      statements.push(current.trim());
      current = '';
    } else if (token.kind !== 'skip') current += token.text;
  }
  return { statements: statements.filter((statement) => statement !== ''), isComplete: current.trim() === '' };
}

interface Token {
  readonly kind: 'text' | 'skip' | 'end';
  readonly text: string;
}

const patterns: readonly (readonly [RegExp, Token['kind']])[] = [
  [/--[^\n]*/y, 'skip'],
  [/[eE]'(?:[^'\\]|\\[\s\S]|'')*'/y, 'text'],
  [/'(?:[^']|'')*'/y, 'text'],
  [/"(?:[^"]|"")*"/y, 'text'],
  [/(\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$)[\s\S]*?\1/y, 'text'],
  [/;/y, 'end'],
  [/[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y, 'text'],
  [/[^'"]/y, 'text'],
];

// Undefined: a quote that does not end.
function tokenAt(script: string, at: number, isBetween: boolean): Token | undefined {
  if (isBetween) {
    const command = match(/\\[^\n]*/y, script, at);
    if (command !== undefined) return { kind: 'skip', text: command };
  }
  for (const [pattern, kind] of patterns) {
    const text = match(pattern, script, at);
    if (text !== undefined) return { kind, text };
  }
  return undefined;
}

function match(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}
