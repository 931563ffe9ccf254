/** Everything that PostgreSQL keeps in a database, as far as one can write it down. For psql. */
export const awkwardPostgres = `
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (a int, "b c" text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE "Ünï ""q""" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a numeric, b bytea, c jsonb, d tsrange, e mood, f text[], g timestamptz, h positive, twice int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO "Ünï ""q""" (a, b, c, d, e, f, g, h) SELECT 'NaN', decode(md5(n::text), 'hex'), jsonb_build_object('n', n), tsrange('2026-01-01', '2026-02-01'), 'ok', ARRAY['ä', NULL, ''], '2026-03-29 02:30+01', n FROM generate_series(1, 5000) n;
CREATE TABLE "all" (a smallint, b bigint, c real, d double precision, e numeric(40,12), f money, g char(5), h varchar(9), i text, j bytea, k boolean,
  l date, m time, n timetz, o timestamp(3), p timestamptz, q interval, r uuid, s inet, t cidr, u macaddr, v macaddr8, w bit(5), x varbit(9), y point, z line,
  aa lseg, ab box, ac path, ad polygon, ae circle, af json, ag xml, ah tsvector, ai tsquery, aj int4multirange, ak int[][], al pair, am pg_lsn, an name, ao regclass, ap positive[]);
INSERT INTO "all" VALUES (-32768, 9223372036854775807, 'NaN', '-Infinity', 1234567890123456789012345678.123456789012, '-12.34', 'ä', 'naïve ☃', E'\\\\ \\t \\r\\n ''"',
  '\\x00ff0a5c', true, '0044-03-15 BC', '24:00', '12:34:56.789+14', 'infinity', '-infinity', '-1 year 2 mons 3 days -04:05:06.7', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
  '::1/64', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', B'10101', B'1', '(1,-2)', '{1,2,3}', '[(0,0),(1,1)]', '((1,1),(0,0))', '[(0,0),(1,1)]',
  '((0,0),(1,1),(2,0))', '<(0,0),2>', '{"a": 1, "a": [null]}', '<a>ü</a>', 'fat:1A cat', 'fat & !cat', '{[1,3),[5,)}', '{{1,2},{3,NULL}}', ROW(1, 'x,"y"'), '16/B374D848', 'n', 'pg_class', '{1,2}');
INSERT INTO "all" (a) VALUES (NULL);
CREATE TABLE parts (at date NOT NULL, n int) PARTITION BY RANGE (at);
CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
INSERT INTO parts SELECT '2026-05-05', n FROM generate_series(1, 100) n;
INSERT INTO parts VALUES ('1999-12-31', 0);
CREATE VIEW few AS SELECT n FROM parts WHERE n < 10;
CREATE MATERIALIZED VIEW sums AS SELECT at, sum(n) FROM parts GROUP BY at;
CREATE SEQUENCE counter START 41; SELECT nextval('counter');
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.n := NEW.n; RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE UPDATE ON parts FOR EACH ROW EXECUTE FUNCTION touch();
SELECT lo_from_bytea(0, decode(repeat('00ff', 4000), 'hex')) > 0;
`;

/** What a client sees of it; each gives one text. */
export const readPostgres: readonly string[] = [
  `SELECT md5(string_agg(t::text, '|' ORDER BY id)) AS text FROM "Ünï ""q""" t`,
  `SELECT md5(string_agg(t::text, '|' ORDER BY a)) AS text FROM "all" t`,
  `SELECT string_agg(tableoid::regclass::text || ' ' || p::text, '|' ORDER BY at, n) AS text FROM parts p`,
  `SELECT string_agg(s::text, '|' ORDER BY at) AS text FROM sums s`,
  `SELECT pg_get_viewdef('few'::regclass) AS text`,
  `SELECT pg_get_triggerdef(oid) || pg_get_functiondef(tgfoid) AS text FROM pg_trigger WHERE tgname = 'touched' AND tgparentid = 0`,
  `SELECT last_value || ' ' || is_called AS text FROM counter`,
  `SELECT string_agg(md5(lo_get(oid)), '|') AS text FROM pg_largeobject_metadata`,
  `SELECT string_agg(attname || ' ' || attgenerated::text || attidentity::text, '|' ORDER BY attnum) AS text FROM pg_attribute WHERE attrelid = '"Ünï ""q"""'::regclass AND attnum > 0`,
];

/** The same for MariaDB and MySQL; each is one statement. */
export const awkwardMysql: readonly string[] = [
  `CREATE TABLE \`Größe 日本\` (id int unsigned AUTO_INCREMENT PRIMARY KEY, a tinyint, b bigint unsigned, c decimal(30,10), d float, e double, f bit(9), g char(3),
    h varchar(50) COLLATE utf8mb4_bin UNIQUE, i binary(4), j varbinary(10), k mediumblob, l longtext, m enum('x','ü'), n set('p','q'), o date, p datetime(6), q timestamp(3) NULL,
    r time(6), s year, t json, u point, v int GENERATED ALWAYS AS (a * 2) STORED, w int GENERATED ALWAYS AS (a + 1) VIRTUAL) CHARACTER SET utf8mb4`,
  `INSERT INTO \`Größe 日本\` (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u) VALUES (-128, 18446744073709551615, 12345678901234567890.0123456789, 1.5e-30, -0.1, b'101010101', 'ä', '☃ 𝄞',
    x'00ff0a5c', x'27220d0a1a', REPEAT(x'00ff', 5000), '\\\\ '' "', 'ü', 'p,q', '9999-12-31', '2026-03-29 02:30:00.123456', '2026-10-25 00:30:00.5', '-838:59:58.5', 2155, '{"a": [1, null, "ü"]}', POINT(1, -2))`,
  `INSERT INTO \`Größe 日本\` (h) VALUES (NULL), ('')`,
  'CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p_low VALUES LESS THAN (10), PARTITION p_high VALUES LESS THAN MAXVALUE)',
  'INSERT INTO parts VALUES (1), (9), (10), (11)',
  'CREATE VIEW few AS SELECT id FROM parts WHERE id < 10',
  'CREATE TABLE noted (id int)',
  'CREATE TRIGGER note AFTER INSERT ON parts FOR EACH ROW INSERT INTO noted VALUES (NEW.id)',
  'INSERT INTO parts VALUES (12)',
];

export const readMysql: readonly string[] = [
  'SELECT *, HEX(i) AS hi, HEX(j) AS hj, MD5(k) AS mk, HEX(f) AS hf FROM `Größe 日本` ORDER BY id',
  'SELECT id FROM parts PARTITION (p_low) ORDER BY id',
  'SELECT id FROM few ORDER BY id',
  'SELECT id FROM noted',
  "SELECT column_name, column_type, collation_name, generation_expression FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'Größe 日本' ORDER BY ordinal_position",
  'SELECT trigger_name, action_statement FROM information_schema.triggers WHERE trigger_schema = DATABASE()',
  "SELECT auto_increment FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'Größe 日本'",
];
