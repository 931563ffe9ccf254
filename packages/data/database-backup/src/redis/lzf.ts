/** Decompresses LZF (liblzf, “lzf_d.c”). Throws an `Error` unless exactly `length` bytes come out. */
export function decompressLzf(input: Uint8Array, length: number): Buffer {
  const output = Buffer.alloc(length);
  let from = 0;
  let to = 0;
  while (from < input.length) {
    const control = input[from] ?? 0;
    from += 1;
    if (control < 32) {
      const run = control + 1;
      if (from + run > input.length || to + run > length) throw new Error('a compressed string is damaged');
      output.set(input.subarray(from, from + run), to);
      from += run;
      to += run;
      continue;
    }
    let run = control >> 5;
    if (run === 7) {
      run += input[from] ?? 0;
      from += 1;
    }
    const back = to - ((control & 0x1f) << 8) - (input[from] ?? 0) - 1;
    from += 1;
    run += 2;
    if (back < 0 || to + run > length) throw new Error('a compressed string is damaged');
    // The two may overlap: byte by byte.
    for (let index = 0; index < run; index += 1) output[to + index] = output[back + index] ?? 0;
    to += run;
  }
  if (to !== length || from !== input.length) throw new Error('a compressed string is damaged');
  return output;
}
