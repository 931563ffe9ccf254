-- Roles with what is easily lost: odd names, verifiers, settings, memberships with options, an end of validity.
CREATE ROLE "käufer ""X"" 'y'" LOGIN PASSWORD 'geheim-;-''quoted''' CONNECTION LIMIT 5 VALID UNTIL '2040-01-01 00:00:00+00';
CREATE ROLE auditors NOLOGIN;
CREATE ROLE "back\slash" LOGIN PASSWORD 'b\c' NOINHERIT;
CREATE ROLE app LOGIN PASSWORD 'app-password' CREATEDB;
CREATE ROLE no_password LOGIN;
COMMENT ON ROLE auditors IS 'line one
line two; -- not a comment, it''s text \ $$';
ALTER ROLE app SET search_path TO 'odd schema', public;
ALTER ROLE app SET work_mem = '8MB';
ALTER ROLE "käufer ""X"" 'y'" SET application_name = 'a;b''c';
GRANT auditors TO app WITH ADMIN OPTION;
GRANT auditors TO "käufer ""X"" 'y'" WITH INHERIT FALSE, SET TRUE;
SET ROLE app;
GRANT auditors TO no_password;
RESET ROLE;
GRANT pg_monitor TO "back\slash";
GRANT SET ON PARAMETER log_min_duration_statement TO app;
