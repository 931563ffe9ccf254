// Renews a certificate and kills itself, as kill -9 does, at the step it is told: what the kill tests start.
import { writeSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { Secret } from '@devstack-core/redaction';
import { issueFromRoot, openRoot, renew, verifyServed } from '../src/index.ts';

const input = JSON.parse(await text(process.stdin)) as {
  directory: string;
  root: string;
  passphrase: string;
  port: number;
  pid: number;
  killAt: string;
};
const root = await openRoot({ directory: input.root, passphrase: new Secret(input.passphrase) });
await renew({
  directory: input.directory,
  force: true,
  issue: () => issueFromRoot({ root, commonName: 'server', ipAddresses: ['127.0.0.1'] }),
  reload: () => {
    process.kill(input.pid, 'SIGHUP');
    return Promise.resolve();
  },
  verify: ({ serial, caBundlePem }) =>
    verifyServed({
      host: '127.0.0.1',
      port: input.port,
      servername: 'server',
      ca: caBundlePem,
      serial,
      deadlineMs: 700,
    }),
  onStep: (step) => {
    if (step !== input.killAt) return;
    writeSync(1, `killed at ${step}\n`);
    process.kill(process.pid, 'SIGKILL');
  },
});
