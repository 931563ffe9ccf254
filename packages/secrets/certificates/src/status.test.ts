import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rootFolder, type RootFolder } from '../test/served.ts';
import { certificateStatus, expiryMetrics, issueFromRoot, renew, type LeafCertificate } from './index.ts';

const day = 86_400_000;
let folder: RootFolder;
let leaf: LeafCertificate;
beforeAll(async () => {
  folder = await rootFolder();
  leaf = await issueFromRoot({ root: folder.root, commonName: 'postgres', ipAddresses: ['127.0.0.1'] });
});
afterAll(async () => folder[Symbol.asyncDispose]());

const one = async (pem: string, now: Date) => (await certificateStatus([{ service: 'postgres', pem }], { now }))[0];

describe('certificateStatus', () => {
  it('says all that a person asks of a certificate', async () => {
    expect(await one(leaf.certificatePem, new Date())).toEqual({
      service: 'postgres',
      state: 'ok',
      path: undefined,
      certificate: {
        subject: 'CN=postgres',
        issuer: expect.stringMatching(/^O=DevStack, CN=DevStack root CA /) as string,
        dnsNames: ['postgres'],
        ipAddresses: ['127.0.0.1'],
        serial: leaf.serial,
        notBefore: leaf.notBefore,
        notAfter: leaf.notAfter,
        daysLeft: 89,
        isAuthority: false,
      },
      advice: '',
    });
  });

  it.each([
    [90, 'ok', ''],
    [30.01, 'ok', ''],
    [29.99, 'warning', 'renew it'],
    [7.01, 'warning', 'renew it'],
    [6.99, 'critical', 'see why'],
    [0.001, 'critical', 'see why'],
    [-0.001, 'expired', 'refuse it'],
    [91, 'not-yet-valid', 'clock'],
  ])('with %d days left it is %s', async (days, state, advice) => {
    const found = await one(leaf.certificatePem, new Date(leaf.notAfter.getTime() - days * day));
    expect(found?.state).toBe(state);
    expect(found?.advice).toContain(advice);
    expect(found?.certificate?.daysLeft).toBe(Math.floor(days));
  });

  it('warns in the same parts of a shorter life', async () => {
    const short = await issueFromRoot({ root: folder.root, commonName: 'x', ttlS: 60 });
    const at = async (leftMs: number) =>
      (await one(short.certificatePem, new Date(short.notAfter.getTime() - leftMs)))?.state;
    expect([await at(59_000), await at(21_000), await at(19_000), await at(4000)]).toEqual([
      'ok',
      'ok',
      'warning',
      'critical',
    ]);
  });

  it('reads a directory and a file, and says what is missing or no certificate', async () => {
    const directory = join(folder.path, 'installed');
    await renew({ directory, issue: () => Promise.resolve(leaf) });
    const broken = join(folder.path, 'broken.crt');
    await writeFile(broken, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    const statuses = await certificateStatus([
      { service: 'a', directory },
      { service: 'b', directory: join(folder.path, 'nowhere') },
      { service: 'c', file: folder.root.bundlePath },
      { service: 'd', file: broken },
      { service: 'e', file: folder.path },
      { service: 'f', pem: 'nothing' },
    ]);
    expect(statuses.map(({ service, state }) => `${service} ${state}`)).toEqual([
      'a ok',
      'b missing',
      'c ok',
      'd unreadable',
      'e unreadable',
      'f unreadable',
    ]);
    expect(statuses[2]?.certificate?.isAuthority).toBe(true);
    expect(statuses.filter(({ advice }) => advice === '').map(({ service }) => service)).toEqual(['a', 'c']);
  });
});

describe('expiryMetrics', () => {
  it('is Prometheus text: a family each with help and type, in an order that does not change', async () => {
    const statuses = await certificateStatus([
      { service: 'vault "one"\\', pem: 'nothing' },
      { service: 'root', pem: folder.root.certificatePem },
      { service: 'postgres', pem: leaf.certificatePem },
    ]);
    const text = expiryMetrics(statuses);
    expect(text).toBe(
      [
        '# HELP devstack_certificate_not_after_seconds When the certificate ends, in seconds since 1970.',
        '# TYPE devstack_certificate_not_after_seconds gauge',
        `devstack_certificate_not_after_seconds{service="postgres",kind="leaf"} ${String(leaf.notAfter.getTime() / 1000)}`,
        `devstack_certificate_not_after_seconds{service="root",kind="authority"} ${String(folder.root.notAfter.getTime() / 1000)}`,
        '# HELP devstack_certificate_not_before_seconds When it began, in seconds since 1970.',
        '# TYPE devstack_certificate_not_before_seconds gauge',
        `devstack_certificate_not_before_seconds{service="postgres",kind="leaf"} ${String(leaf.notBefore.getTime() / 1000)}`,
        `devstack_certificate_not_before_seconds{service="root",kind="authority"} ${String(folder.root.notBefore.getTime() / 1000)}`,
        '# HELP devstack_certificate_readable 1 when there is a certificate that could be read.',
        '# TYPE devstack_certificate_readable gauge',
        'devstack_certificate_readable{service="postgres",kind="leaf"} 1',
        'devstack_certificate_readable{service="root",kind="authority"} 1',
        'devstack_certificate_readable{service="vault \\"one\\"\\\\",kind="leaf"} 0',
        '',
      ].join('\n'),
    );
    expect(expiryMetrics(statuses.toReversed())).toBe(text);
  });
});
