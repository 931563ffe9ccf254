// Takes a lease and holds it until it is killed.
import { acquireLease } from '../src/index.ts';

const [path = '', owner = ''] = process.argv.slice(2);
const lease = await acquireLease({ path, owner, command: `hold ${owner}` });
process.stdout.write(`${String(lease.token)}\n`);
setInterval(() => undefined, 1000);
