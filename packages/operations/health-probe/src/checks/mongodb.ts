import { connectMongo } from '@devstack-core/database-connections';
import { connectionOptions, usernameOf, type Check } from '../check.ts';

/** MongoDB or FerretDB: lists the collections of the user's database, which reaches FerretDB's PostgreSQL as well. */
export const mongodb: Check = {
  describe: (context) => `listCollections as ${usernameOf(context, 'unknown')}`,
  run: async (context) => {
    const { authSource } = context;
    await using connection = await connectMongo({
      ...connectionOptions(context),
      ...(authSource === undefined ? {} : { authSource }),
    });
    const [collections, build] = await Promise.all([
      connection.db().listCollections(),
      connection.db('admin').command({ buildInfo: 1 }),
    ]);
    const ferretdb = (build['ferretdb'] ?? build['ferretdbVersion']) as { version?: unknown } | string | undefined;
    const engineVersion = typeof ferretdb === 'object' ? ferretdb.version : (ferretdb ?? build['version']);
    return {
      engine: ferretdb === undefined ? 'MongoDB' : 'FerretDB',
      version: engineVersion,
      collections: collections.length,
    };
  },
};
