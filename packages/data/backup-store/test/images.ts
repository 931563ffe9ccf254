import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { run } from '@devstack-core/command-runner';

/** Builds one of the images beside this file; at once where it is built already. Gives its name. */
export async function testImage(name: 's3-server' | 'debian'): Promise<string> {
  const tag = `devstack/test-${name}:local`;
  const bundle = caBundle();
  await run(
    [
      'docker',
      ...['buildx', 'build', '--progress', 'plain', '--load', '--tag', tag],
      ...(bundle === undefined ? [] : ['--secret', `id=ca,src=${bundle}`]),
      fileURLToPath(new URL(name, import.meta.url)),
    ],
    { inheritEnv: true, overflow: 'keep-tail', timeoutMs: 900_000 },
  );
  return tag;
}

// What containers must trust behind a network that re-signs TLS; see ca_bundle of scripts/lib/workspace.sh.
function caBundle(): string | undefined {
  const candidates = [
    process.env['SSL_CERT_FILE'],
    process.env['NODE_EXTRA_CA_CERTS'],
    '/etc/ssl/certs/ca-certificates.crt',
    '/etc/pki/tls/certs/ca-bundle.crt',
    '/etc/ssl/cert.pem',
  ];
  return candidates.find((path) => path !== undefined && existsSync(path) && statSync(path).size > 0);
}
