/** What a `${…}` says: which variable, and what stands in for it where it is missing. */
export interface VariableUse {
  readonly name: string;
  readonly default?: string;
  readonly required: boolean;
}

/** The reason why a text cannot be interpolated, and where in the text it begins. */
export class InterpolationFailure extends Error {
  readonly offset: number;
  readonly variable: string | undefined;

  constructor(message: string, offset: number, variable?: string) {
    super(message);
    this.name = 'InterpolationFailure';
    this.offset = offset;
    this.variable = variable;
  }
}

const named = /^[_a-z][_a-z0-9]*/i;
const operators = [':-', ':?', ':+', '-', '?', '+'] as const;

/**
 * Replaces `$V`, `${V}`, `${V:-d}`, `${V-d}`, `${V:?m}`, `${V?m}`, `${V:+r}`, `${V+r}` (nested ones too) and `$$` as compose does
 * (compose-go, package `template`). A variable without value becomes empty; a dollar before anything else stays.
 * Throws `InterpolationFailure`.
 */
export function interpolate(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
  onUse?: (use: VariableUse) => void,
): string {
  return substitute(text, 0, env, onUse);
}

function substitute(
  text: string,
  base: number,
  env: Readonly<Record<string, string | undefined>>,
  onUse: ((use: VariableUse) => void) | undefined,
): string {
  let result = '';
  let at = 0;
  while (at < text.length) {
    const dollar = text.indexOf('$', at);
    if (dollar === -1) return result + text.slice(at);
    result += text.slice(at, dollar);
    const rest = text.slice(dollar + 1);
    const plain = named.exec(rest)?.[0];
    if (rest.startsWith('$')) {
      result += '$';
      at = dollar + 2;
    } else if (plain !== undefined) {
      onUse?.({ name: plain, required: false });
      result += lookup(env, plain) ?? '';
      at = dollar + 1 + plain.length;
    } else if (rest.startsWith('{')) {
      const inside = rest.slice(1, closingBrace(rest, base + dollar));
      result += braced(inside, base + dollar, env, onUse);
      at = dollar + inside.length + 3;
    } else {
      result += '$';
      at = dollar + 1;
    }
  }
  return result;
}

function closingBrace(rest: string, offset: number): number {
  let depth = 0;
  for (let index = 0; index < rest.length; index += 1) {
    if (rest[index] === '{') depth += 1;
    if (rest[index] === '}') depth -= 1;
    if (depth === 0) return index;
  }
  throw malformed(`$${rest}`, offset);
}

function braced(
  inside: string,
  offset: number,
  env: Readonly<Record<string, string | undefined>>,
  onUse: ((use: VariableUse) => void) | undefined,
): string {
  const name = named.exec(inside)?.[0];
  const tail = inside.slice(name?.length ?? 0);
  const operator = operators.find((candidate) => tail.startsWith(candidate));
  if (name === undefined || (tail !== '' && operator === undefined) || inside.includes('\n'))
    throw malformed(`\${${inside}}`, offset);
  const value = lookup(env, name);
  if (operator === undefined) {
    onUse?.({ name, required: false });
    return value ?? '';
  }
  const isSet = operator.startsWith(':') ? value !== undefined && value !== '' : value !== undefined;
  // Compose reads the word after the operator in every case, so a mistake in an unused default is a mistake.
  const wordOffset = offset + 2 + name.length + operator.length;
  const word = substitute(tail.slice(operator.length), wordOffset, env, onUse);
  if (operator.endsWith('-')) {
    onUse?.({ name, default: word, required: false });
    return isSet ? (value ?? '') : word;
  }
  if (operator.endsWith('+')) {
    onUse?.({ name, required: false });
    return isSet ? word : '';
  }
  onUse?.({ name, required: true });
  if (isSet) return value ?? '';
  throw new InterpolationFailure(
    `required variable ${name} is missing a value${word === '' ? '' : `: ${word}`}`,
    offset,
    name,
  );
}

function lookup(env: Readonly<Record<string, string | undefined>>, name: string): string | undefined {
  return Object.hasOwn(env, name) ? env[name] : undefined;
}

function malformed(text: string, offset: number): InterpolationFailure {
  return new InterpolationFailure(
    `${JSON.stringify(text)} is not a variable: write \${NAME}, \${NAME:-default} or \${NAME:?message}, and $$ for a dollar`,
    offset,
  );
}
