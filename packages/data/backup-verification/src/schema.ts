type Fields = Readonly<Record<string, unknown>>;

const text: Fields = { type: 'string' };
const flag: Fields = { type: 'boolean' };
const verdict: Fields = { enum: ['valid', 'invalid', 'inconclusive'] };
const seconds: Fields = { type: 'number', minimum: 0 };
const orNull = (schema: Fields): Fields => ({ anyOf: [schema, { type: 'null' }] });
const list = (items: Fields): Fields => ({ type: 'array', items });
const count: Fields = { type: 'integer', minimum: 0 };

function object(properties: Fields): Fields {
  return { type: 'object', required: Object.keys(properties), properties };
}

const finding = object({ class: text, code: text, message: text });
const image = object({ name: text, id: text, isSame: flag });
const difference = object({
  kind: text,
  name: text,
  problem: { enum: ['missing', 'unexpected', 'count', 'content'] },
  expected: orNull({ type: 'number' }),
  actual: orNull({ type: 'number' }),
});

/** A JSON Schema (2020-12) of a `VerificationReport`. Fields are only ever added to it. */
export const verificationReportSchema: Fields = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'VerificationReport',
  ...object({
    schema: { const: 'devstack/verification/1' },
    id: text,
    level: { enum: [1, 2, 3] },
    only: orNull(list(text)),
    verdict,
    startedAt: text,
    seconds,
    findings: list(finding),
    parts: list(
      object({
        service: text,
        part: text,
        kind: text,
        engine: object({ name: text, version: text }),
        verdict,
        findings: list(finding),
        warnings: list(text),
        parsed: orNull(text),
        restoredIn: orNull(image),
        comparedItems: orNull(count),
        differences: list(difference),
        integrity: list(text),
        seconds,
      }),
    ),
    engines: list(object({ service: text, engine: text, image })),
    selfTest: { enum: ['passed', 'failed', null] },
    isRecorded: flag,
  }),
};
