/** What a source is to try. */
export interface ProbeJob {
  readonly targets: readonly (readonly [address: string, port: number])[];
  readonly names: readonly string[];
  readonly timeoutMs: number;
}

/** What came of it, in the same order: `open`, `silent`, or the code of a system error; addresses of each name, or an error's code. */
export interface ProbeAnswer {
  readonly targets: readonly string[];
  readonly names: readonly (readonly string[] | string)[];
}

/**
 * A program for `node -e` that reads a job from stdin and writes the answer to stdout. It opens all sockets at once. Names are asked of the
 * engine's own resolver (127.0.0.11), which each container of a network of its own has.
 */
export const probeScript: string = `
const net = require('node:net');
const { Resolver } = require('node:dns');
let text = '';
process.stdin.setEncoding('utf8');
process.stdin.on('data', (part) => { text += part; });
process.stdin.on('end', async () => {
  const job = JSON.parse(text);
  const connect = ([host, port]) => new Promise((resolve) => {
    const socket = net.connect({ host, port });
    const end = (result) => { clearTimeout(timer); socket.destroy(); resolve(result); };
    // A busy machine may run the timer late: what has arrived by then counts.
    const timer = setTimeout(() => setImmediate(end, 'silent'), job.timeoutMs);
    socket.once('connect', () => end('open'));
    socket.once('error', (error) => end(error.code || 'error'));
  });
  const resolver = new Resolver({ timeout: job.timeoutMs, tries: 1 });
  resolver.setServers(['127.0.0.11']);
  const lookUp = (name) => new Promise((resolve) => {
    const timer = setTimeout(() => setImmediate(resolve, 'ETIMEOUT'), job.timeoutMs);
    resolver.resolve4(name, (error, addresses) => { clearTimeout(timer); resolve(error ? error.code || 'error' : addresses); });
  });
  const [targets, names] = await Promise.all([Promise.all(job.targets.map(connect)), Promise.all(job.names.map(lookUp))]);
  process.stdout.write(JSON.stringify({ targets, names }), () => process.exit(0));
});
`;
