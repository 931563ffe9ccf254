// For a bundle with yargs whose own help is never shown: the real one compiles a regular expression for emoji, 20 ms at each start.
export default (text) => text.length;
