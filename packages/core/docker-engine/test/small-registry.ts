import { createHash } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { archive } from '../src/files.ts';

/** How a registry misbehaves. */
export type Fault = 'none' | 'no-blob' | 'cut-blob' | 'wrong-blob' | 'refuses';

/** A registry on loopback that serves one image of one small layer (OCI distribution specification, pull only). */
export async function startRegistry(fault: Fault): Promise<AsyncDisposable & { readonly ref: string }> {
  const layer = await archive([
    { path: 'marker', content: `from the small registry ${fault}`, mode: 0o644, uid: 0, gid: 0 },
  ]);
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: { Labels: { 'io.devstack.test': fault } },
      rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
    }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      config: descriptor('application/vnd.docker.container.image.v1+json', config),
      layers: [descriptor('application/vnd.docker.image.rootfs.diff.tar', layer)],
    }),
  );
  const blobs = new Map([config, layer].map((blob) => [digestOf(blob), blob]));
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    if (path === '/v2/') answer(response, 200, Buffer.from('{}'));
    else if (fault === 'refuses')
      answer(response, 403, Buffer.from('{"errors":[{"code":"DENIED","message":"not for you"}]}'));
    else if (path.includes('/manifests/')) {
      response.setHeader('docker-content-digest', digestOf(manifest));
      answer(response, 200, manifest, 'application/vnd.docker.distribution.manifest.v2+json');
    } else {
      const blob = blobs.get(path.split('/').at(-1) ?? '');
      const isLayer = blob === layer;
      if (blob === undefined || (isLayer && fault === 'no-blob'))
        answer(response, 404, Buffer.from('{"errors":[{"code":"BLOB_UNKNOWN","message":"gone"}]}'));
      else if (isLayer && fault === 'wrong-blob') answer(response, 200, Buffer.alloc(blob.length, 1));
      else if (isLayer && fault === 'cut-blob') {
        response.writeHead(200, { 'content-length': blob.length });
        response.write(blob.subarray(0, 10));
        setImmediate(() => response.destroy());
      } else answer(response, 200, blob);
    }
  });
  const { promise, resolve } = Promise.withResolvers<undefined>();
  server.listen(0, '127.0.0.1', () => {
    resolve(undefined);
  });
  await promise;
  const { port } = server.address() as AddressInfo;
  return {
    ref: `127.0.0.1:${String(port)}/small/${fault}:1`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

function answer(response: ServerResponse, status: number, body: Buffer, type = 'application/octet-stream'): void {
  response.writeHead(status, { 'content-type': type, 'content-length': body.length });
  response.end(body);
}

function descriptor(mediaType: string, blob: Buffer): { mediaType: string; size: number; digest: string } {
  return { mediaType, size: blob.length, digest: digestOf(blob) };
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
