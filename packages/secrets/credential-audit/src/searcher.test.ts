import { randomBytes } from 'node:crypto';
import { Secret } from '@devstack-core/redaction';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSearcher, expandNeedles, type CredentialNeedle, type NeedleHit } from './index.ts';
import { Matcher } from './matcher.ts';

const needle = (value: string, rest: Partial<CredentialNeedle> = {}): CredentialNeedle => ({
  value: new Secret(value),
  label: 'secret/services/postgres',
  field: 'password',
  ...rest,
});
const value = 'c0rrect-h0rse-battery';
const searcher = createSearcher(expandNeedles([needle(value)]).needles);

/** What a stream finds when the text arrives cut at these places. */
function streamed(text: Uint8Array, cuts: readonly number[], search = searcher): NeedleHit[] {
  const hits: NeedleHit[] = [];
  const stream = search.stream((hit) => hits.push(hit));
  let from = 0;
  for (const cut of [...cuts, text.length]) {
    stream.write(text.subarray(from, cut));
    from = cut;
  }
  expect(stream.end()).toBe(text.length);
  return hits.toSorted((a, b) => a.offset - b.offset);
}

describe('the matcher', () => {
  it('finds what a search for each pattern finds, for any patterns and text', () => {
    const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
      fc
        .array(fc.constantFrom(0, 97, 98, 255), { minLength: 4, maxLength: length })
        .map((list) => Uint8Array.from(list));
    fc.assert(
      fc.property(
        fc.array(bytes(40), { maxLength: 20 }),
        bytes(400),
        fc.array(fc.nat(400)),
        (patterns, text, seams) => {
          const planted = seams.flatMap((seam) => [
            ...text.subarray(0, seam),
            ...(patterns[seam % patterns.length] ?? []),
          ]);
          const haystack = Uint8Array.from([...planted, ...text]);
          const found: string[] = [];
          new Matcher(patterns).scan(haystack, haystack.length, (pattern, start) => found.push(`${pattern}@${start}`));
          expect(found.toSorted()).toEqual(oneByOne(patterns, haystack).toSorted());
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('a stream', () => {
  it('finds a needle wherever a chunk ends in it, once', () => {
    const text = Buffer.from(`xx${value}yy`);
    for (let cut = 0; cut <= text.length; cut += 1) {
      for (let second = cut; second <= text.length; second += 1) {
        expect(streamed(text, [cut, second])).toMatchObject([{ offset: 2, lengthBytes: value.length }]);
      }
    }
    expect(streamed(text, [...text.keys()])).toHaveLength(1);
  });

  it('finds a needle at every offset around the end of a block', () => {
    const block = 256 * 1024;
    for (let offset = block - 200; offset < block + 100; offset += 1) {
      const text = Buffer.alloc(block + 300, 'x');
      text.write(value, offset);
      text.write(value, 10);
      expect(streamed(text, [7, 100_000]).map((hit) => hit.offset)).toEqual([10, offset]);
    }
  });

  it('finds a needle at the very end, and none in what is only its beginning', () => {
    expect(streamed(Buffer.from(`${'x'.repeat(400_000)}${value}`), [])).toHaveLength(1);
    expect(streamed(Buffer.from(`${'x'.repeat(400_000)}${value.slice(0, -1)}`), [])).toEqual([]);
    expect(streamed(Buffer.alloc(0), [])).toEqual([]);
  });

  it('finds what lies among bytes that are no text', () => {
    const text = Buffer.concat([
      randomBytes(300_000),
      Buffer.from(value),
      Buffer.from([0xff, 0, 0xfe]),
      randomBytes(300_000),
    ]);
    expect(streamed(text, [123_456])).toMatchObject([{ offset: 300_000 }]);
  });

  it('finds 2000 values in their forms, each', () => {
    const values = Array.from({ length: 2000 }, (_, index) =>
      needle(randomBytes(18).toString('base64'), { label: `v${index}` }),
    );
    const search = createSearcher(expandNeedles(values).needles);
    expect(search.patternCount).toBeGreaterThan(15_000);
    const text = values.flatMap(({ value: secret }) => [
      secret.reveal(),
      Buffer.from(`user:${secret.reveal()}`).toString('base64'),
      encodeURIComponent(secret.reveal()),
      Buffer.from(secret.reveal()).toString('hex'),
    ]);
    const labels = new Set(
      streamed(Buffer.from(text.join('\n')), [], search).flatMap(({ needles }) => needles.map(({ label }) => label)),
    );
    expect(labels.size).toBe(2000);
    expect(search.search(Buffer.from('an ordinary line '.repeat(1000)))).toEqual([]);
  });

  it('tells values apart that begin alike, and names both of two that are the same', () => {
    const same = createSearcher(
      expandNeedles([
        ...Array.from({ length: 300 }, (_, index) => needle(`hvs.CAESIJ-common-${index}-x`, { label: `t${index}` })),
        needle('hvs.CAESIJ-common-7-x', { label: 'copy' }),
      ]).needles,
    );
    const hits = same.search(Buffer.from('token hvs.CAESIJ-common-7-x given'));
    expect(hits.flatMap(({ needles }) => needles.map(({ label }) => label)).toSorted()).toEqual(['copy', 't7']);
  });
});

describe('needles', () => {
  const odd = 'p@ss "w0rd"/<&>\\x';

  it.each([
    ['raw', odd],
    ['json', JSON.stringify(odd)],
    ['url', encodeURIComponent(odd)],
    ['url', encodeURIComponent(odd).toLowerCase()],
    ['url', new URLSearchParams({ odd }).toString()],
    ['base64', Buffer.from(odd).toString('base64')],
    ['base64', Buffer.from(`a${odd}`).toString('base64')],
    ['base64', Buffer.from(`ab${odd}`).toString('base64')],
    ['base64url', Buffer.from('þÿ>?þÿ>?~~~???p@ss').toString('base64url'), 'þÿ>?þÿ>?~~~???p@ss'],
    ['hex', Buffer.from(odd).toString('hex')],
    ['hex', Buffer.from(odd).toString('hex').toUpperCase()],
    ['shell', `'${"it's 1 l0ng".replaceAll("'", `'\\''`)}'`, "it's 1 l0ng"],
    ['xml', 'p@ss &quot;w0rd&quot;/&lt;&amp;&gt;\\x'],
    ['basic-auth', `Authorization: Basic ${Buffer.from(`app:${odd}`).toString('base64')}`],
    [
      'line',
      'MIIEvQIBADANBgkqhkiG9w0BAQ',
      '-----BEGIN X-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nEFAASCBKcwggSjAgEAAoIBAQC7\n-----END X-----',
    ],
  ])('are found as %s: %s', (encoding, text, secret = odd) => {
    const search = createSearcher(expandNeedles([needle(secret, { username: 'app' })]).needles);
    const encodings = search
      .search(Buffer.from(`log ${text} end`))
      .flatMap(({ needles }) => needles.map((one) => one.encoding));
    expect(encodings).toContain(encoding);
  });

  it.each([
    ['short', 'abc123', 'password', /shorter than 8/, true],
    ['short, in a field that is no secret', 'abc123', 'pool_mode', /shorter than 8/, false],
    ['a switch', 'true', 'tls_enabled', /switch/, false],
    ['a switch as password', 'disabled', 'password', /switch/, true],
    ['a port', '5432', 'port', /name or an address/, false],
    ['a number', '20251121', 'limit', /short number/, false],
    ['a name', 'reference_api', 'postgres_username', /name or an address/, false],
    ['a common word', 'postgres', 'password', /common/, true],
    ['its own label', 'services', 'password', /common/, true],
    ['one letter again and again', 'aaaaaaaaaaaa', 'password', /common/, true],
    ['empty', '', 'password', /empty/, false],
  ])('that cannot be searched for are told with a reason: %s', (_what, secret, field, reason, mayBeSecret) => {
    const { needles, unsearchable } = expandNeedles([needle(secret, { field })]);
    expect(needles).toEqual([]);
    expect(unsearchable).toEqual([
      { label: 'secret/services/postgres', field, reason: expect.stringMatching(reason) as unknown, mayBeSecret },
    ]);
  });

  it('are addresses that carry a password, too', () => {
    const { needles } = expandNeedles([needle('postgres://app:c0rrect-h0rse@db/app', { field: 'database_url' })]);
    expect(needles.length).toBeGreaterThan(3);
  });

  it('that are no text, or equal their user, are told too; without a field nothing is taken for public', () => {
    const { unsearchable } = expandNeedles([
      { value: new Secret({ a: 1 }) as unknown as Secret, label: 'x' },
      needle('devstack-admin', { username: 'devstack-admin' }),
      { value: new Secret('1234567'), label: 'y' },
    ]);
    expect(unsearchable.map(({ mayBeSecret }) => mayBeSecret)).toEqual([true, true, true]);
  });
});

function oneByOne(patterns: readonly Uint8Array[], text: Uint8Array): string[] {
  const haystack = Buffer.from(text);
  return patterns.flatMap((pattern, index) => {
    const found: string[] = [];
    for (let at = haystack.indexOf(pattern); at >= 0; at = haystack.indexOf(pattern, at + 1))
      found.push(`${index}@${at}`);
    return found;
  });
}
