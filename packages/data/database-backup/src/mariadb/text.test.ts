import { describe, expect, it } from 'vitest';
import { problemsOf } from './check.ts';
import { checksumQuery } from './checksum-sql.ts';
import { inDependencyOrder, quotedNames } from './dependency-order.ts';
import { mariadbFailure, serverErrors } from './failure.ts';
import { identifier, literal, qualified } from './quote.ts';

describe('names and literals', () => {
  it('stay inside their quotes', () => {
    expect(identifier('a`b')).toBe('`a``b`');
    expect(qualified('d', '')).toBe('`d`.``');
    expect(literal("it's \\ ü")).toBe('CONVERT(0x69742773205c20c3bc USING utf8mb4)');
    expect(literal('')).toBe("''");
  });
});

describe('the order of views', () => {
  it('puts each after those that it reads', () => {
    const order = inDependencyOrder(
      new Map([
        ['a', 'select `z`.`i` from `z` join `m`'],
        ['m', 'select `z`.`i` from `z`'],
        ['q`q', 'select 1'],
        ['x', 'select * from `q``q`'],
        ['z', 'select `t`.`a` from `t`'],
      ]),
    );
    expect(order.indexOf('z')).toBeLessThan(order.indexOf('m'));
    expect(order.indexOf('m')).toBeLessThan(order.indexOf('x'));
    expect(order.indexOf('q`q')).toBeLessThan(order.indexOf('x'));
    expect([...order].sort()).toEqual(['a', 'm', 'q`q', 'x', 'z']);
  });

  it('ends in a circle, too', () => {
    expect(
      inDependencyOrder(
        new Map([
          ['a', '`b`'],
          ['b', '`a`'],
        ]),
      ),
    ).toHaveLength(2);
    expect(quotedNames('`a``b`, `c`')).toEqual(['a`b', 'c']);
  });
});

describe('errors', () => {
  it('keep what the server says and not what it was told', () => {
    const said = `--------------
INSERT INTO people VALUES ('Ada', 'secret')
--------------

ERROR 1064 (42000) at line 3: You have an error in your SQL syntax near 'secret'
/usr/bin/mariadb-dump: Got error: 1045: "Access denied for user 'keeper'@'localhost'" when trying to connect
mysqldump: Deprecated program name. It will be removed`;
    expect(serverErrors(said)).toBe(
      "ERROR 1064 (42000) at line 3: You have an error in your SQL syntax near … /usr/bin/mariadb-dump: Got error: 1045: \"Access denied for user 'keeper'@'localhost'\" when trying to connect",
    );
    expect(serverErrors("ERROR 1: hash '*AF3ADDC141B6B1935B7BD169D891EB9290A0A500'")).toBe("ERROR 1: hash '…'");
    expect(mariadbFailure('DUMP_FAILED', 'It failed').message).toBe('It failed.');
    expect(mariadbFailure('DUMP_FAILED', 'It failed', 'ERROR 1: why').message).toBe('It failed: ERROR 1: why');
  });
});

describe('what mariadb-check writes', () => {
  it('becomes a sentence for each problem', () => {
    expect(
      problemsOf(`d.good                                     OK
d.memory
note     : The storage engine for the table doesn't support check
d.warned
warning  : 1 client is using or hasn't closed the table properly
status   : OK
d.broken
Error    : Incorrect file format 'broken'
error    : Corrupt
d.rotten
error    : Corrupt
`),
    ).toEqual([
      "Table d.warned: 1 client is using or hasn't closed the table properly.",
      "Table d.broken: Incorrect file format 'broken'.",
      'Table d.rotten: Corrupt.',
    ]);
  });
});

describe('the checksum of a table', () => {
  const column = (name: string, type: string): { name: string; type: string; isGenerated: boolean } => ({
    name,
    type,
    isGenerated: false,
  });

  it('tells NULL from every value and a value from its neighbour', () => {
    const query = checksumQuery('d', {
      name: 't',
      engine: 'InnoDB',
      isVersioned: true,
      columns: [
        column('a', 'varchar'),
        column('f', 'float'),
        column('b', 'longblob'),
        column('n', 'int'),
        column('x', 'bit'),
      ],
    });
    expect(query).toContain("IFNULL(CONCAT('V', OCTET_LENGTH(`a`), ':', CAST(`a` AS BINARY)), 'N')");
    expect(query).toContain("IFNULL(CONCAT('V', `f` + 0e0, ','), 'N')");
    expect(query).toContain("IFNULL(CONCAT('V', MD5(`b`), ','), 'N')");
    expect(query).toContain("IFNULL(CONCAT('V', `n`, ','), 'N')");
    expect(query).toContain("CAST(`x` AS UNSIGNED), ','");
    expect(query).toMatch(/FROM `d`\.`t` FOR SYSTEM_TIME ALL$/);
  });
});
