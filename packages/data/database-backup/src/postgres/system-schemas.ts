/** The numbers of the schemas that are the server's own, for `IN (…)`. */
export const systemSchemas = "'pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'pg_toast'::regnamespace";
