import { isArtifactFile, isSetId } from './names.ts';
import { manifestSchema, type SetManifest } from './manifest.ts';

/**
 * What is wrong with the shape of a manifest, or undefined. Also one with a right MAC is looked through: a set without encryption has none that
 * proves anything, and a name that leads out of its folder must never be followed.
 */
export function shapeProblem(value: unknown): string | undefined {
  return check(value, manifest, 'manifest');
}

/** A value that passed `shapeProblem`. */
export function asManifest(value: unknown): SetManifest {
  return value as SetManifest;
}

type Rule = (value: unknown, path: string) => string | undefined;

function check(value: unknown, rule: Rule, path: string): string | undefined {
  return rule(value, path);
}

const say =
  (what: string, isRight: (value: unknown) => boolean): Rule =>
  (value, path) =>
    isRight(value) ? undefined : `${path} is not ${what}`;

const text = say('text', (value) => typeof value === 'string');
const name = say('a name', (value) => typeof value === 'string' && value !== '' && !/\p{Cc}/u.test(value));
const flag = say('true or false', (value) => typeof value === 'boolean');
const count = say('a count', (value) => Number.isSafeInteger(value) && Number(value) >= 0);
const digest = say('a digest', (value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value));
const fingerprint = say(
  'a fingerprint',
  (value) => typeof value === 'string' && /^([0-9A-F]{40}|[0-9A-F]{64})$/.test(value),
);
const contentId = say('a content id', (value) => typeof value === 'string' && /^[0-9a-f]{32}$/.test(value));
const setId = say('the id of a set', (value) => typeof value === 'string' && isSetId(value));
const file = say('the name of an artifact', (value) => typeof value === 'string' && isArtifactFile(value));
const date = say('a date', (value) => typeof value === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(value));
const moment = say(
  'a moment',
  (value) => typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value) && !Number.isNaN(Date.parse(value)),
);
const oneOf = (...allowed: readonly unknown[]): Rule => say(allowed.join(' or '), (value) => allowed.includes(value));
const nullOr =
  (rule: Rule): Rule =>
  (value, path) =>
    value === null ? undefined : rule(value, path);
const optional =
  (rule: Rule): Rule =>
  (value, path) =>
    value === undefined ? undefined : rule(value, path);
const list =
  (rule: Rule): Rule =>
  (value, path) => {
    if (!Array.isArray(value)) return `${path} is not a list`;
    return first(value.map((item, index) => check(item, rule, `${path}[${String(index)}]`)));
  };
const record =
  (rule: Rule): Rule =>
  (value, path) =>
    isObject(value)
      ? first(Object.entries(value).map(([key, member]) => check(member, rule, `${path}.${key}`)))
      : `${path} is not an object`;
const shape =
  (rules: Readonly<Record<string, Rule>>): Rule =>
  (value, path) =>
    isObject(value)
      ? first(Object.entries(rules).map(([key, rule]) => check(value[key], rule, `${path}.${key}`)))
      : `${path} is not an object`;
const either =
  (...rules: readonly Rule[]): Rule =>
  (value, path) => {
    const problems = rules.map((rule) => rule(value, path));
    return problems.includes(undefined) ? undefined : first(problems);
  };

const metadata = record(
  either(
    text,
    flag,
    list(text),
    say('a number', (value) => typeof value === 'number'),
  ),
);
const measure = shape({ bytes: count, sha256: digest });
const engine = shape({ name, version: text, image: shape({ name: text, id: text }) });
const artifact = shape({
  contentId,
  name,
  service: name,
  part: name,
  kind: name,
  extension: text,
  file,
  isSecret: flag,
  plain: either(measure, shape({ bytes: count, hmac: digest })),
  cipher: measure,
  heldBy: nullOr(setId),
  engine: optional(engine),
  metadata: optional(metadata),
});
const part = shape({
  service: name,
  name,
  kind: name,
  extension: text,
  engine,
  consistency: oneOf('exact', 'approximate'),
  consistencyReason: optional(text),
  snapshotAt: moment,
  isSecret: optional(flag),
  metadata: optional(metadata),
  restoreHint: list(text),
  fingerprintDigest: nullOr(digest),
});
const manifest = shape({
  schema: oneOf(manifestSchema),
  id: setId,
  kind: oneOf('full', 'incremental'),
  parent: nullOr(setId),
  sequence: count,
  revision: count,
  previous: nullOr(shape({ id: setId, sha256: digest })),
  project: name,
  createdAt: moment,
  finishedAt: moment,
  timeZone: name,
  localDate: date,
  tool: shape({ name, version: text }),
  host: metadata,
  encrypted: flag,
  recipients: optional(list(shape({ fingerprint, publicKey: text }))),
  parts: list(part),
  artifacts: list(artifact),
  texts: record(digest),
});

function first(problems: readonly (string | undefined)[]): string | undefined {
  return problems.find((problem) => problem !== undefined);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
