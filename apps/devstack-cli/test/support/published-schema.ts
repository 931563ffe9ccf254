import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

interface Definition {
  readonly properties?: { readonly schema?: { readonly const?: string } };
}

const file = JSON.parse(readFileSync(new URL('../../schema/devstack-cli.schema.json', import.meta.url), 'utf8')) as {
  readonly anyOf: readonly object[];
  readonly $defs: Readonly<Record<string, Definition>>;
};

/** The kinds of documents that the published schema has: `devstack/up/1`, by the name of their definition. */
export const publishedKinds: ReadonlyMap<string, string> = new Map(
  Object.entries(file.$defs).flatMap(([name, { properties }]) => {
    const kind = properties?.schema?.const;
    return kind === undefined ? [] : [[name, kind] as const];
  }),
);

/** What tells whether a document is of the definition of that name. */
export function schemaOf(name: string): ValidateFunction {
  return new Ajv2020({ strict: false }).compile({ ...file, anyOf: undefined, ...file.$defs[name] });
}

/** What is wrong with a document of `--json`, in words; undefined where it is as published. */
export function publishedProblem(document: unknown): string | undefined {
  const kind = (document as { readonly schema?: unknown } | null)?.schema;
  const name = [...publishedKinds].find(([, known]) => known === kind)?.[0];
  if (name === undefined) return `the published schema has no ${String(kind)}`;
  const validate = schemaOf(name);
  return validate(document) ? undefined : JSON.stringify(validate.errors);
}
