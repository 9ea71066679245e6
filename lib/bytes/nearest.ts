// A mistyped word → the known word it was probably meant to be. Edit distance with swapped neighbours counted as one mistake.

const distance = (a: string, b: string): number => {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min(
        (last[j] as number) + 1,
        (row[j - 1] as number) + 1,
        (last[j - 1] as number) + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, (before[j - 2] as number) + 1);
      row.push(best);
    }
    before = last;
    last = row;
  }
  return last[b.length] as number;
};

/** Of a flag without its dashes. */
const lengthOf = (word: string): number => {
  let dashes = 0;
  while (word[dashes] === '-') dashes++;
  return word.length - dashes;
};

/** undefined when nothing is near enough to be worth a suggestion. */
export const nearest = (word: string, known: readonly string[]): string | undefined => {
  // a word of a stranger may be of any length; nothing that long is a slip of the finger
  if (word.length > 40) return undefined;
  const length = lengthOf(word);
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(length / 3)) + 1;
  for (const one of known) {
    const d = length >= 3 && one.startsWith(word) ? 1 : distance(word, one);
    if (d < bestDistance) {
      best = one;
      bestDistance = d;
    }
  }
  return best;
};
