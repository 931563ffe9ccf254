-- One of everything that a dump and its restore may get wrong.
CREATE EXTENSION hstore;
CREATE EXTENSION citext;
CREATE EXTENSION btree_gist;
CREATE EXTENSION pg_trgm;
CREATE SCHEMA "odd schema" AUTHORIZATION app;
CREATE SCHEMA "ünïcødé ☃";
COMMENT ON SCHEMA "ünïcødé ☃" IS 'Schnee';
SET search_path = public;

CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "fine"', '☃');
ALTER TYPE mood ADD VALUE 'meh' AFTER 'sad';
CREATE TYPE point3 AS (x double precision, y double precision, "z Z" numeric(10, 3));
CREATE DOMAIN positive AS integer DEFAULT 1 CHECK (VALUE > 0) NOT NULL;
CREATE DOMAIN email AS citext CHECK (VALUE ~ '^[^@]+@[^@]+$');
CREATE TYPE floatrange AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE COLLATION german (provider = icu, locale = 'de-u-co-phonebk', deterministic = true);
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq);
CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple);

CREATE TABLE types (
  id bigint GENERATED ALWAYS AS IDENTITY (START WITH 1000 INCREMENT BY 7) PRIMARY KEY,
  s smallint, i integer, b bigint, n numeric, n2 numeric(20, 5), r real, d double precision, m money,
  t text, v varchar(10), c char(5), nm name, nocase text COLLATE nocase, ger text COLLATE german, ci citext,
  ba bytea, bo boolean, da date, ti time(3), tz timetz, ts timestamp, tt timestamptz, iv interval,
  u uuid, j json, jb jsonb, jp jsonpath, x xml, h hstore, ine inet, ci2 cidr, ma macaddr, ma8 macaddr8,
  bi bit(4), bv bit varying, po point, li line, ls lseg, bx box, pa path, pg polygon, ci3 circle,
  tsv tsvector, tsq tsquery, i4r int4range, nr numrange, tr tstzrange, fr floatrange, mr int8multirange,
  e mood, p3 point3, pos positive DEFAULT 3, em email, ai integer[], at text[][], ae mood[], ap point3[], o oid, rc regclass, lsn pg_lsn, sn pg_snapshot, "sp ace""q" text,
  gen text GENERATED ALWAYS AS (upper(t) || coalesce(v, '')) STORED
);
INSERT INTO types (s, i, b, n, n2, r, d, m, t, v, c, nm, nocase, ger, ci, ba, bo, da, ti, tz, ts, tt, iv, u, j, jb, jp, x, h, ine, ci2, ma, ma8, bi, bv, po, li, ls, bx, pa, pg, ci3, tsv, tsq, i4r, nr, tr, fr, mr, e, p3, pos, em, ai, at, ae, ap, o, rc, lsn, sn, "sp ace""q") VALUES
 (-32768, 2147483647, -9223372036854775808, 'NaN', 123456.78901, 'NaN', 'Infinity', '$1,234.56', E'tab\tnl\ncr\rback\\slash \'q\' "d" \u2603 \U0001F600', 'väär', 'ab', 'name', 'NoCase', 'Äpfel', 'MiXed', '\x00ff5c0a0d', true, 'infinity', '23:59:59.999', '12:00:00+05:30', '-infinity', '0044-03-15 12:00:00+00 BC', '1 year 2 mons -3 days 04:05:06.789', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a" :  1, "a":2}', '{"b": [1, null, "☃\u0001"]}', '$.a[*] ? (@ > 1)', '<a b="c">&amp;</a>', '"k ey"=>"v\"al", n=>NULL', '::1/64', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', B'1010', B'101', '(1,2)', '{1,2,3}', '[(0,0),(1,1)]', '(1,1),(0,0)', '[(0,0),(1,1),(2,0)]', '((0,0),(1,1),(2,0))', '<(0,0),5>', 'a:1A fat:2 cat', 'fat & !rat', '[1,10)', '(,5.5]', '[2020-01-01 00:00+00,infinity)', '[0.1,0.3)', '{[1,3),[5,9)}', 'it''s "fine"', '(1,-0,"3.142")', 7, 'A@b.example', '{1,NULL,3}', '{{a,"b,c"},{"d\"e",""}}', '{sad,☃}', '{"(1,2,3)",NULL}', 4294967295, 'pg_class', '16/B374D848', '10:20:10,14,15', 'sp'),
 (0, 0, 0, '-Infinity', 0, '-Infinity', -0.0, 0, '', '', '', '', '', '', '', '', false, '-infinity', '24:00', '00:00:00-15:59', 'infinity', 'infinity', '-178000000 years', '00000000-0000-0000-0000-000000000000', 'null', 'null', '$', 'text', '', '0.0.0.0', '::/0', '00:00:00:00:00:00', '00:00:00:00:00:00:00:00', B'0000', B'', '(NaN,Infinity)', '{0,1,0}', '[(0,0),(0,0)]', '(0,0),(0,0)', '((0,0))', '((0,0))', '<(0,0),0>', '', '', 'empty', 'empty', 'empty', 'empty', '{}', 'sad', '(,,)', 1, 'x@y', '{}', '{}', '{}', '{}', 0, '-', '0/0', '1:1:', ''),
 (1.0E0, NULL, NULL, 1e-300, NULL, 1e-37, 5e-324, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '5874897-12-31', NULL, NULL, '294276-12-31 23:59:59.999999', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

-- A column that went, one whose name is the table alias of the fingerprint, no column at all, no rows at all.
CREATE TABLE dropped (a int, gone text, t text, "T" text); ALTER TABLE dropped DROP COLUMN gone; ALTER TABLE dropped ADD COLUMN later int DEFAULT 5;
INSERT INTO dropped (a, t, "T") SELECT i, 't' || i, 'T' || i FROM generate_series(1, 50) i;
CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES; INSERT INTO nothing DEFAULT VALUES;
CREATE TABLE "empty table" (id int PRIMARY KEY, "select" text NOT NULL DEFAULT E'a\\b''c');
CREATE UNLOGGED TABLE unlogged (id serial, t text); INSERT INTO unlogged (t) VALUES ('a'), ('b');
CREATE TABLE "Tab""le.with dots" ("Col umn" int, "☃" text, EXCLUDE USING gist ("Col umn" WITH =)); INSERT INTO "Tab""le.with dots" VALUES (1, E'\u2028'), (2, NULL);
COMMENT ON TABLE "Tab""le.with dots" IS E'a ''comment''\n\\. with ; --'; COMMENT ON COLUMN "Tab""le.with dots"."☃" IS 'snow';
CREATE TABLE "newline
name" (i int); INSERT INTO "newline
name" VALUES (1);

-- Foreign keys in a circle, deferred, not valid, on a key that is not the primary one; checks that are written anew.
CREATE TABLE chicken (id int PRIMARY KEY, egg int NOT NULL, status varchar(20) NOT NULL DEFAULT 'new', CONSTRAINT status_known CHECK (status IN ('new', 'old', 'it''s')), CONSTRAINT span CHECK (egg BETWEEN 0 AND 100 OR egg IS NULL));
CREATE TABLE egg (id int PRIMARY KEY, chicken int NOT NULL REFERENCES chicken DEFERRABLE INITIALLY DEFERRED, code text UNIQUE NULLS NOT DISTINCT);
ALTER TABLE chicken ADD FOREIGN KEY (egg) REFERENCES egg DEFERRABLE INITIALLY DEFERRED;
BEGIN; INSERT INTO chicken SELECT i, i FROM generate_series(1, 20) i; INSERT INTO egg SELECT i, i, 'c' || i FROM generate_series(1, 20) i; COMMIT;
CREATE TABLE loose (code text); INSERT INTO loose VALUES ('nowhere'); ALTER TABLE loose ADD CONSTRAINT later FOREIGN KEY (code) REFERENCES egg (code) NOT VALID;
CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree); INSERT INTO tree SELECT i, nullif(i / 2, 0) FROM generate_series(1, 30) i;

-- Partitions of two levels, a default one, a foreign key to and from them; inheritance whose columns came late.
CREATE TABLE measure (id bigserial, at date NOT NULL, city text NOT NULL, v numeric, PRIMARY KEY (id, at, city)) PARTITION BY RANGE (at);
CREATE TABLE measure_2025 PARTITION OF measure FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (city);
CREATE TABLE measure_2025_b PARTITION OF measure_2025 FOR VALUES IN ('Berlin', 'Bonn');
CREATE TABLE measure_2025_rest PARTITION OF measure_2025 DEFAULT;
CREATE TABLE measure_default (city text NOT NULL, v numeric, at date NOT NULL, id bigint NOT NULL); ALTER TABLE measure ATTACH PARTITION measure_default DEFAULT;
CREATE INDEX measure_v ON measure (v DESC NULLS LAST) INCLUDE (city) WHERE v > 0;
INSERT INTO measure (at, city, v) SELECT date '2024-06-01' + i * 11, (ARRAY['Berlin', 'Bonn', 'Ulm'])[1 + i % 3], i / 3.0 FROM generate_series(0, 99) i;
CREATE TABLE reading (m_id bigint, m_at date, m_city text, FOREIGN KEY (m_id, m_at, m_city) REFERENCES measure); INSERT INTO reading SELECT id, at, city FROM measure WHERE id % 5 = 0;
CREATE TABLE parent (a int, b text); CREATE TABLE child (own int) INHERITS (parent); INSERT INTO child VALUES (1, 'b', 9);
ALTER TABLE parent ADD COLUMN late text DEFAULT 'l' CHECK (late <> ''); INSERT INTO child VALUES (2, 'c', 8, 'x'); INSERT INTO parent VALUES (3, 'p', 'y');

-- Indexes of every method, on expressions, unique and partial.
CREATE TABLE searched (id int PRIMARY KEY, doc tsvector, name text, tags text[], r int4range, j jsonb);
INSERT INTO searched SELECT i, to_tsvector('simple', 'word' || i), 'Name ' || i, ARRAY['t' || i % 7], int4range(i, i + 5), jsonb_build_object('k', i) FROM generate_series(1, 200) i;
CREATE INDEX ON searched USING gin (doc); CREATE INDEX ON searched USING gin (name gin_trgm_ops); CREATE INDEX ON searched USING gist (r);
CREATE INDEX ON searched USING brin (id); CREATE INDEX ON searched USING hash (name); CREATE INDEX ON searched USING spgist (r);
CREATE UNIQUE INDEX searched_lower ON searched (lower(name) text_pattern_ops) WHERE id > 10; ALTER TABLE searched CLUSTER ON searched_pkey;
CREATE STATISTICS searched_stats (dependencies, mcv) ON id, name FROM searched; ALTER TABLE searched ALTER name SET STATISTICS 500, ALTER name SET STORAGE EXTERNAL; ALTER TABLE searched SET (fillfactor = 70, autovacuum_enabled = off);

-- Functions, triggers, rules, views upon views, a materialized view, policies.
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $body$ BEGIN NEW.name := NEW.name || ' $$ ''x'' (touched)'; RETURN NEW; END $body$;
CREATE TRIGGER touched BEFORE UPDATE OF name ON searched FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name) EXECUTE FUNCTION touch();
CREATE TRIGGER sleeping AFTER INSERT ON searched FOR EACH STATEMENT EXECUTE FUNCTION touch(); ALTER TABLE searched DISABLE TRIGGER sleeping;
CREATE FUNCTION add_up(a int, b int DEFAULT 2, VARIADIC c int[] DEFAULT '{}') RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE BEGIN ATOMIC SELECT a + b + coalesce(cardinality(c), 0); END;
CREATE PROCEDURE do_it(INOUT x int) LANGUAGE plpgsql AS $$ BEGIN x := x + 1; COMMIT; END $$;
CREATE AGGREGATE product (numeric) (SFUNC = numeric_mul, STYPE = numeric, INITCOND = '1');
CREATE VIEW v1 AS SELECT id, (name)::varchar(50) AS n, row_number() OVER (PARTITION BY id % 3 ORDER BY name COLLATE "C") AS rn FROM searched WHERE id IN (1, 2, 3) OR name LIKE 'N%';
CREATE VIEW v2 WITH (security_barrier) AS SELECT v1.*, m.city FROM v1 LEFT JOIN LATERAL (SELECT city FROM measure WHERE measure.id = v1.id LIMIT 1) m ON true;
CREATE RECURSIVE VIEW ancestors (id, depth) AS SELECT id, 0 FROM tree WHERE parent IS NULL UNION ALL SELECT t.id, a.depth + 1 FROM tree t JOIN ancestors a ON t.parent = a.id;
CREATE MATERIALIZED VIEW mv AS SELECT city, count(*) AS n FROM measure GROUP BY city; CREATE UNIQUE INDEX ON mv (city);
CREATE MATERIALIZED VIEW mv_empty AS SELECT 1 AS one WITH NO DATA;
CREATE RULE redirect AS ON INSERT TO v1 DO INSTEAD INSERT INTO searched (id, name) VALUES (NEW.id, NEW.n);
CREATE FUNCTION watching() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not here'; END $$;
CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('CREATE EXTENSION', 'DROP SCHEMA') EXECUTE FUNCTION watching();
ALTER TABLE searched ENABLE ROW LEVEL SECURITY; ALTER TABLE searched FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON searched FOR SELECT TO app, auditors USING (name = current_user OR id < 100);
CREATE POLICY none ON searched AS RESTRICTIVE FOR DELETE TO PUBLIC USING (false);

-- Privileges: on tables, columns, functions, schemas, the server's own functions, by default, granted on by another.
GRANT SELECT, INSERT ON searched TO app WITH GRANT OPTION; GRANT SELECT (id), UPDATE (name) ON searched TO auditors; REVOKE EXECUTE ON FUNCTION touch() FROM PUBLIC;
SET ROLE app; GRANT SELECT ON searched TO "käufer ""X"" 'y'"; RESET ROLE;
GRANT USAGE ON SCHEMA "odd schema" TO auditors; GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_waldir() TO app; GRANT USAGE ON SEQUENCE measure_id_seq TO app;
ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA "odd schema" GRANT SELECT ON TABLES TO auditors; ALTER TABLE "empty table" OWNER TO app; ALTER TYPE mood OWNER TO "back\slash";

-- Sequences: never used, at an odd place, descending, at the end of its range.
CREATE SEQUENCE fresh; CREATE SEQUENCE "Odd Seq" START 42 INCREMENT 5 CACHE 10; SELECT nextval('"Odd Seq"');
CREATE SEQUENCE down INCREMENT -3 MINVALUE -9223372036854775808 MAXVALUE 10 START 10; SELECT setval('down', -9223372036854775807, true);
CREATE SEQUENCE cyc MAXVALUE 3 CYCLE; SELECT setval('cyc', 3, false);

-- Large objects: an owner, a comment, a hole, none at all.
SELECT lo_from_bytea(5001, decode(repeat('00ff5c0a', 2000), 'hex')); SELECT lo_create(5002); SELECT lo_from_bytea(3000000001, '\x616263');
SELECT lo_put(5002, 100000, '\x01'); ALTER LARGE OBJECT 5001 OWNER TO app; GRANT SELECT ON LARGE OBJECT 5001 TO auditors; COMMENT ON LARGE OBJECT 5001 IS 'lo';
CREATE PUBLICATION pub FOR TABLE measure, searched;
CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER elsewhere TYPE 'x' FOREIGN DATA WRAPPER nowhere OPTIONS (host 'h'); CREATE FOREIGN TABLE far (a int OPTIONS (k 'v')) SERVER elsewhere;
