import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import { DevstackError } from '@devstack-core/errors';
import { LineCounter, isScalar, parseDocument, visit, type Document, type Scalar } from 'yaml';
import { Cursor, isRecord, parseError, type Locate, type PathStep, type Position } from './cursor.ts';
import { ComposeProjectErrorCode } from './errors.ts';
import { InterpolationFailure, interpolate } from './interpolate.ts';
import type { VariableModel } from './model.ts';
import { takeTags } from './tags.ts';

/** One compose file: what it says with variables filled in, what is written, and where. */
export interface ComposeDocument {
  readonly file: string;
  readonly value: Readonly<Record<string, unknown>>;
  readonly raw: Readonly<Record<string, unknown>>;
  /** Paths marked `!reset` or `!override`: what earlier files say there does not count. */
  readonly cleared: readonly (readonly PathStep[])[];
  readonly variables: readonly VariableModel[];
  readonly locate: Locate;
}

/** Reads one compose file and fills in its variables. Throws COMPOSE_PARSE with file, line and column. */
export async function readComposeDocument(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ComposeDocument> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw unreadable(file, cause);
  });
  const known = parsed.get(file);
  const { document, raw, cleared, templates, position } = known?.text === text ? known : parse(file, text);
  const variables = fillIn(templates, env, position);
  const locate = (path: readonly PathStep[]): Position => position(offsetOf(document, path));
  return { file, value: toRecord(document, position), raw, cleared, variables, locate };
}

/** A file as it is written. */
interface ParsedFile {
  readonly text: string;
  readonly document: Document.Parsed;
  readonly raw: Readonly<Record<string, unknown>>;
  readonly cleared: readonly (readonly PathStep[])[];
  readonly templates: readonly Template[];
  readonly position: (offset: number) => Position;
}

/** A value with variables in it, as written; filling it in changes the node. */
interface Template {
  readonly node: Scalar;
  readonly text: string;
}

// A stack is read twice, for its defaults and with the values that follow from them; parsing is most of the work.
const parsed = new Map<string, ParsedFile>();

function parse(file: string, text: string): ParsedFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { merge: true, lineCounter: lines, prettyErrors: false });
  const position = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const [problem] = document.errors;
  if (problem !== undefined) throw parseError(position(problem.pos[0]), `not valid YAML: ${problem.message}`);
  const cleared = takeTags(document);
  const templates: Template[] = [];
  visit(document, {
    Scalar(key, node) {
      if (key !== 'key' && typeof node.value === 'string' && node.value.includes('$'))
        templates.push({ node, text: node.value });
    },
  });
  const result = { text, document, raw: toRecord(document, position), cleared, templates, position };
  parsed.set(file, result);
  return result;
}

/**
 * A file and everything that it includes, includes first, each read once. Included paths are relative to the file that names them.
 * Throws COMPOSE_PARSE, for a file that includes itself too.
 */
export async function readWithIncludes(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
  parents: readonly string[] = [],
): Promise<readonly ComposeDocument[]> {
  const document = await readComposeDocument(file, env);
  const include = new Cursor(document.value, document.raw, [], document.locate).get('include');
  if (include === undefined) return [document];
  const trail = [...parents, file];
  const documents: ComposeDocument[] = [];
  for (const entry of include.items()) {
    const paths = entry.isMap() ? (entry.get('path')?.texts() ?? entry.fail('needs a path')) : [entry.text()];
    for (const path of paths) {
      const target = isAbsolute(path) ? path : resolve(dirname(file), path);
      if (trail.includes(target)) entry.fail(`includes ${target}, which includes this file`);
      documents.push(...(await readWithIncludes(target, env, trail)));
    }
  }
  return [...documents, document];
}

function unreadable(file: string, cause: unknown): DevstackError {
  const code = isRecord(cause) && typeof cause['code'] === 'string' ? cause['code'] : 'unknown error';
  return new DevstackError({
    code: ComposeProjectErrorCode.composeParse,
    message: `${file} cannot be read: ${code === 'ENOENT' ? 'there is no such file' : code}.`,
    hint: 'Name an existing compose file, and run from the checkout.',
    cause,
    details: { file },
  });
}

function toRecord(
  document: Document.Parsed,
  position: (offset: number) => Position,
): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 1000 });
  } catch (error) {
    throw parseError(position(0), error instanceof Error ? error.message : 'cannot be read');
  }
  if (isRecord(value)) return value;
  throw parseError(position(document.contents?.range[0] ?? 0), 'a compose file must be a mapping with `services`');
}

function fillIn(
  templates: readonly Template[],
  env: Readonly<Record<string, string | undefined>>,
  position: (offset: number) => Position,
): readonly VariableModel[] {
  const variables = new Map<string, VariableModel>();
  for (const { node, text } of templates) {
    const start = node.range?.[0] ?? 0;
    try {
      node.value = interpolate(text, env, (use) => {
        const known = variables.get(use.name);
        if (known?.default !== undefined || (known !== undefined && use.default === undefined && !use.required)) return;
        const { file, line } = position(start);
        variables.set(use.name, {
          ...use,
          required: use.required || known?.required === true,
          source: known?.source ?? { file, line },
        });
      });
    } catch (error) {
      if (!(error instanceof InterpolationFailure)) throw error;
      const inLine =
        node.type === 'PLAIN'
          ? error.offset
          : node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE'
            ? error.offset + 1
            : 0;
      const hint =
        error.variable === undefined ? undefined : `Set ${error.variable} in the environment or in the env file.`;
      throw parseError(position(start + inLine), error.message, hint);
    }
  }
  return [...variables.values()];
}

// A path that comes through a merge key or an alias is not in the tree at that place; its nearest written parent is.
function offsetOf(document: Document.Parsed, path: readonly PathStep[]): number {
  for (let length = path.length; length > 0; length -= 1) {
    const parent: unknown = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const pair = pairOf(parent, path[length - 1]);
    if (pair !== undefined) return pair;
  }
  return 0;
}

function pairOf(parent: unknown, step: PathStep | undefined): number | undefined {
  if (!isRecord(parent) || !Array.isArray(parent['items'])) return undefined;
  const items: readonly unknown[] = parent['items'];
  if (typeof step === 'number') return startOf(items[step]);
  for (const item of items) {
    if (isRecord(item) && isScalar(item['key']) && item['key'].value === step) return startOf(item['key']);
  }
  return undefined;
}

function startOf(node: unknown): number | undefined {
  const range = isRecord(node) ? node['range'] : undefined;
  const start: unknown = Array.isArray(range) ? range[0] : undefined;
  return typeof start === 'number' ? start : undefined;
}
