/** A name between backticks. */
export function identifier(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/** Table, view, routine or sequence of a database. */
export function qualified(database: string, name: string): string {
  return `${identifier(database)}.${identifier(name)}`;
}

/** Any text as a literal: hexadecimal needs no escaping, whatever the session's modes are. */
export function literal(text: string): string {
  return text === '' ? "''" : `CONVERT(0x${Buffer.from(text, 'utf8').toString('hex')} USING utf8mb4)`;
}
