import { describe, expect, it } from 'vitest';
import { chunked, collect } from '../../test/parts.ts';
import { DumpSections, endMark, objectsMark, stubComment } from './sections.ts';

const head = `/*M!999999\\- enable the sandbox mode */
-- Current Database: \`d\`
CREATE DATABASE /*!32312 IF NOT EXISTS*/ \`d\` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;

USE \`d\`;
`;
const sequence = 'DROP SEQUENCE IF EXISTS `s``q`;\nCREATE SEQUENCE `s``q` start with 1;\n';
const tables = `--\n-- Table structure for table \`t\`\n--\nCREATE TABLE \`t\` (i int);\nUSE \`x\`;\nINSERT INTO \`t\` VALUES ('CREATE DATABASE ');\n`;
const stub = `CREATE SEQUENCE IF NOT EXISTS \`d\`.\`s\`\`q\` COMMENT='${stubComment}';\n`;
const objects = 'CREATE VIEW v AS SELECT 1;\n';
const whole = Buffer.from(`${head}${sequence}${tables}\n${objectsMark}${objects}${endMark}`);

describe('a dump in two sections', () => {
  it.each([1, 2, 3, 7, 64, 10_000])(
    'has tables for another database and the rest afterwards, in pieces of %i bytes',
    async (size) => {
      await using sections = new DumpSections('d', chunked(whole, size));
      const text = (await collect(sections.tables())).toString();
      expect(text).toBe(
        `/*M!999999\\- enable the sandbox mode */\n-- Current Database: \`d\`\n\n${sequence.replace('CREATE', `${stub}CREATE`)}--\n\n${tables.slice(3)}\n`,
      );
      expect(sections.objects.toString()).toBe(`${objects}${endMark}`);
    },
  );

  it('may have no tables', async () => {
    await using sections = new DumpSections('d', chunked(Buffer.from(`${head}\n${objectsMark}${endMark}`), 5));
    expect((await collect(sections.tables())).toString()).toContain('-- Current Database');
    expect(sections.objects.toString()).toBe(endMark);
  });

  it('is refused wherever it is cut', async () => {
    for (let length = 0; length < whole.length; length += 1) {
      await using sections = new DumpSections('d', chunked(whole.subarray(0, length), 50));
      await expect(collect(sections.tables())).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
      expect(() => sections.objects).toThrow();
    }
  });

  it('is refused where it names no database', async () => {
    await using sections = new DumpSections('d', chunked(Buffer.from(tables)));
    await expect(collect(sections.tables())).rejects.toThrow('is no dump of it');
  });

  it('closes its source', async () => {
    let isClosed = false;
    async function* source(): AsyncGenerator<Uint8Array, void, undefined> {
      try {
        yield* chunked(whole, 10);
      } finally {
        isClosed = true;
      }
    }
    {
      await using sections = new DumpSections('d', source());
      await sections.tables().next();
    }
    expect(isClosed).toBe(true);
  });
});
