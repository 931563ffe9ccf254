import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SecretRegistry, redactStream } from './index.ts';

const value = 'p w"ä\\s:s#1$%';

async function through(registry: SecretRegistry, chunks: readonly Uint8Array[]): Promise<Buffer> {
  const stream = redactStream(registry);
  const out: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => out.push(chunk));
  const ended = new Promise<void>((resolve, reject) => stream.once('end', resolve).once('error', reject));
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  await ended;
  return Buffer.concat(out);
}

function cut(bytes: Buffer, positions: readonly number[]): Buffer[] {
  const edges = [0, ...[...new Set(positions)].sort((a, b) => a - b), bytes.length];
  return edges.slice(1).map((end, index) => bytes.subarray(edges[index], end));
}

function registryOf(...values: string[]): SecretRegistry {
  const registry = new SecretRegistry();
  for (const text of values) registry.add(text);
  return registry;
}

describe('a redacted stream', () => {
  it('masks a secret, whatever its encoding, at every chunk boundary', async () => {
    const registry = registryOf(value);
    for (const needle of registry.needles()) {
      const bytes = Buffer.from(`before ${needle.text.reveal()} after`);
      for (let position = 0; position <= bytes.length; position += 1) {
        const out = (await through(registry, cut(bytes, [position]))).toString();
        expect(out, `${needle.form} cut at ${String(position)}`).toMatch(/^before .?.?\[secret\].?.? after$/u);
      }
    }
  });

  it('gives the same text however it is cut', async () => {
    const registry = registryOf('abcabcabc', 'cabcabca!', 'abababab', value);
    const piece = fc.constantFrom('abc', 'a', 'b', 'c', 'cab', 'abcabcabc', 'cabcabca!', 'abababab', value, 'ä', ' ');
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { maxLength: 30 }),
        fc.array(fc.nat(300), { maxLength: 12 }),
        async (pieces, positions) => {
          const text = pieces.join('');
          const bytes = Buffer.from(text);
          const out = await through(
            registry,
            cut(
              bytes,
              positions.filter((position) => position <= bytes.length),
            ),
          );
          expect(out.toString()).toBe(registry.redact(text));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('passes every byte on that belongs to no secret', async () => {
    const registry = registryOf(value);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat(200)), async (bytes, positions) => {
        const input = Buffer.from(bytes);
        expect(
          await through(
            registry,
            cut(
              input,
              positions.filter((position) => position <= input.length),
            ),
          ),
        ).toEqual(input);
      }),
    );
  });

  it('holds nothing back that cannot become a secret, so a prompt is seen before the line ends', async () => {
    const stream = redactStream(registryOf('correct horse'));
    const first = new Promise<string>((resolve) => stream.once('data', (chunk: Buffer) => resolve(chunk.toString())));
    stream.write('Password: ');
    await expect(first).resolves.toBe('Password: ');
    stream.destroy();
  });

  it('masks a secret that was added after the stream began', async () => {
    const registry = new SecretRegistry();
    const stream = redactStream(registry);
    const out: string[] = [];
    stream.on('data', (chunk: Buffer) => out.push(chunk.toString()));
    stream.write('first ');
    registry.add('late-secret');
    stream.write('late-secret');
    stream.end();
    await new Promise((resolve) => stream.once('end', resolve));
    expect(out.join('')).toBe('first [secret]');
  });
});
