-- Everything that a dump has been seen to lose or to trip over.
SET NAMES utf8mb4, sql_mode = '', foreign_key_checks = 0, time_zone = '+00:00';
CREATE DATABASE `awk ward-ü` CHARACTER SET latin1 COLLATE latin1_swedish_ci COMMENT 'it''s \\ odd';
USE `awk ward-ü`;
CREATE TABLE `tbl ``ü` (
  id bigint unsigned AUTO_INCREMENT PRIMARY KEY,
  t tinyint, s smallint, m mediumint, i int ZEROFILL, b bigint, d decimal(65,30), f float, db double, bi bit(17),
  y year, dt date, tm time(6), dtt datetime(6), ts timestamp(6) NULL,
  c char(5), vc varchar(100) CHARACTER SET utf8mb4, l1 varchar(20) CHARACTER SET latin1, bn binary(4), vb varbinary(20),
  tt tinytext, tx text, mt mediumtext, lt longtext, tb tinyblob, bl blob, mb mediumblob, lb longblob,
  e enum('a','b''c','ü'), st set('x','y','z'), j json, g geometry, p point, u uuid, i4 inet4, i6 inet6, vec vector(3),
  gv int AS (t * 2) VIRTUAL, gs varchar(200) AS (concat(vc, '-', t)) STORED, inv int INVISIBLE DEFAULT 7
) COMMENT 'AUTO_INCREMENT=7; ) ENGINE=\n-- DevStack: end of the dump\n';
INSERT INTO `tbl ``ü` (t,s,m,i,b,d,f,db,bi,y,dt,tm,dtt,ts,c,vc,l1,bn,vb,tt,tx,mt,lt,tb,bl,mb,lb,e,st,j,g,p,u,i4,i6,vec) VALUES
(-128,-32768,-8388608,42,-9223372036854775808,'12345678901234567890123456789012345.123456789012345678901234567890',1e0/3,1e0/3,b'10101010101010101',2155,'9999-12-31','-838:59:59.999999','9999-12-31 23:59:59.999999','2038-01-19 03:14:07.999999','ab','Zoë 🔑 שלום','é',0x00ff,0x000102ff0a0d5c27,'t','x\n\r\t\\\'"\0\Z\n-- DevStack: views, routines, triggers and events follow\n','m',repeat('long',1000),0x00,0xff,0x1a,repeat(0x00ff,5000),'b''c','x,z','{"a": [1, 2]}',st_geomfromtext('POINT(1 2)',4326),point(1,2),uuid(),'1.2.3.4','::1',vec_fromtext('[0.1,0.2,0.3]')),
(NULL,NULL,NULL,NULL,NULL,NULL,16777217,-0e0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL),
(0,0,0,0,0,0,1e-40,5e-324,0,0,'0000-00-00','0','0000-00-00','1970-01-01 00:00:01','','','','','','','','','','','','','','ü','','{}',st_geomfromtext('POINT(0 0)'),point(0,0),'00000000-0000-0000-0000-000000000000','0.0.0.0','::',vec_fromtext('[0,0,0]'));
INSERT INTO `tbl ``ü` (id) VALUES (18446744073709551000);
DELETE FROM `tbl ``ü` WHERE id = 18446744073709551000;
CREATE TABLE floats (f float, f2 float(10,3), d double(20,6), n int);
INSERT INTO floats SELECT rand(seq) * 1e7, rand(seq) * 1e5, rand(seq) * 1e12, seq FROM seq_1_to_1000;
INSERT INTO floats VALUES (NULL, NULL, NULL, NULL), (-0e0, 0, -0e0, 0), (3.4028234663852886e38, 1, 1, 1);
CREATE TABLE copies (v int);
INSERT INTO copies VALUES (1), (1), (1), (NULL);
CREATE TABLE neighbours (a varchar(10), b varchar(10));
INSERT INTO neighbours VALUES ('ab', 'c'), ('a', 'bc'), ('', ''), (NULL, ''), ('', NULL);
CREATE SEQUENCE sq START WITH 100 INCREMENT BY 10 CACHE 20;
SELECT nextval(sq);
CREATE SEQUENCE `sq cyc` MINVALUE 1 MAXVALUE 3 CYCLE NOCACHE;
SELECT nextval(`sq cyc`), nextval(`sq cyc`), nextval(`sq cyc`), nextval(`sq cyc`);
CREATE SEQUENCE spent MINVALUE 1 MAXVALUE 2 NOCACHE;
SELECT nextval(spent), nextval(spent);
CREATE TABLE from_sequence (id bigint DEFAULT nextval(sq) PRIMARY KEY, v int);
INSERT INTO from_sequence (v) VALUES (1), (2);
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int PRIMARY KEY, pid int, self int, CONSTRAINT fkp FOREIGN KEY (pid) REFERENCES parent (id) ON DELETE CASCADE, FOREIGN KEY (self) REFERENCES child (id));
INSERT INTO parent VALUES (1), (2);
INSERT INTO child VALUES (1, 1, 2), (2, 2, 1);
CREATE TABLE parted (id int, d date, PRIMARY KEY (id, d)) PARTITION BY RANGE (year(d)) (PARTITION p0 VALUES LESS THAN (2000), PARTITION p1 VALUES LESS THAN MAXVALUE);
INSERT INTO parted VALUES (1, '1999-01-01'), (2, '2020-01-01');
CREATE TABLE remembers (id int PRIMARY KEY, v int, f float) WITH SYSTEM VERSIONING;
INSERT INTO remembers VALUES (1, 1, 1e0 / 3), (2, 2, 2);
UPDATE remembers SET v = v + 1;
DELETE FROM remembers WHERE id = 2;
CREATE TABLE remembers_openly (id int PRIMARY KEY, v int, since timestamp(6) GENERATED ALWAYS AS ROW START, until timestamp(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (since, until)) WITH SYSTEM VERSIONING;
INSERT INTO remembers_openly (id, v) VALUES (1, 1);
UPDATE remembers_openly SET v = 2;
CREATE TABLE in_myisam (id int AUTO_INCREMENT PRIMARY KEY, t text, FULLTEXT (t)) ENGINE=MyISAM AUTO_INCREMENT=50;
INSERT INTO in_myisam (t) VALUES ('hello');
CREATE TABLE in_aria (id int) ENGINE=Aria;
INSERT INTO in_aria VALUES (5);
CREATE TABLE in_memory (id int) ENGINE=MEMORY;
INSERT INTO in_memory VALUES (1);
CREATE TABLE in_csv (id int NOT NULL) ENGINE=CSV;
INSERT INTO in_csv VALUES (3);
CREATE TABLE found (id int PRIMARY KEY, t text, FULLTEXT (t));
INSERT INTO found VALUES (1, 'some words');
CREATE TABLE checked (a int CHECK (a > 0), b int DEFAULT (a + 1));
INSERT INTO checked (a) VALUES (1);
CREATE TABLE counted_on (id int AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT=500;
CREATE TABLE `empty` (id int);
DELIMITER //
CREATE FUNCTION fn(a int) RETURNS int DETERMINISTIC BEGIN RETURN a * 2; END//
CREATE PROCEDURE pc(IN a int, OUT b varchar(20)) COMMENT 'x;y' BEGIN SELECT concat('a;', a) INTO b; -- a comment
END//
CREATE TRIGGER second_one BEFORE INSERT ON parent FOR EACH ROW BEGIN SET new.id = new.id; END//
CREATE TRIGGER first_one BEFORE INSERT ON parent FOR EACH ROW PRECEDES second_one INSERT INTO copies VALUES (new.id)//
CREATE EVENT ev ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DISABLE DO BEGIN DELETE FROM copies WHERE v = 77; END//
DELIMITER ;
CREATE VIEW z_base AS SELECT id, fn(id) AS twice FROM parent;
CREATE VIEW a_view AS SELECT * FROM z_base WHERE twice > 1 WITH CHECK OPTION;
CREATE DEFINER = `nobody`@`nowhere` SQL SECURITY INVOKER VIEW of_nobody AS SELECT 1 AS one;
CREATE USER 'app'@'%' IDENTIFIED BY 'p#\'"\\w';
GRANT SELECT, INSERT ON `awk ward-ü`.* TO 'app'@'%';
GRANT SELECT (id) ON `awk ward-ü`.parent TO 'app'@'%';
CREATE USER locked@localhost IDENTIFIED BY 'x' REQUIRE SSL WITH MAX_USER_CONNECTIONS 3 ACCOUNT LOCK;
CREATE ROLE boss;
CREATE ROLE sub;
GRANT boss TO 'app'@'%' WITH ADMIN OPTION;
SET DEFAULT ROLE boss FOR 'app'@'%';
GRANT PROCESS ON *.* TO boss;
GRANT sub TO boss;
GRANT EXECUTE ON FUNCTION `awk ward-ü`.fn TO sub WITH GRANT OPTION;
CREATE DATABASE a_reader;
USE a_reader;
CREATE TABLE elsewhere (id int PRIMARY KEY, pid int, CONSTRAINT fko FOREIGN KEY (pid) REFERENCES `awk ward-ü`.parent (id));
INSERT INTO elsewhere VALUES (1, 1);
CREATE VIEW across AS SELECT * FROM `awk ward-ü`.a_view;
CREATE DATABASE `leer`;
