import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { commands } from './commands.ts';
import { commandPage, helpPage } from './help.ts';

const page = fileURLToPath(new URL('../../../docs/reference/cli.md', import.meta.url));

// Run with --update to write the page anew after a command changed.
test('the reference page is what --help says', async () => {
  const sections = commands.map((spec) => `## ${spec.name}\n\n\`\`\`text\n${commandPage(spec).trimEnd()}\n\`\`\`\n`);
  const text = `# devstack: every command\n\nMade from the code by a test; \`./devstack <command> --help\` prints the same.\n\n\`\`\`text\n${helpPage([]).trimEnd()}\n\`\`\`\n\n${sections.join('\n')}`;
  await expect(text).toMatchFileSnapshot(page);
});
