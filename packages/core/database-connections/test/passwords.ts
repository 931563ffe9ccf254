/** A password of everything that quoting gets wrong: quotes, spaces, `:`, `\`, `#`, `$`, `%`, non-ASCII. */
export const awkwardPassword = ` it's "a" \\ back\\\\slash: #1 $HOME %41 %s \`x\` ;|&<>*?!=,@/ zoë €𝄞 `;
