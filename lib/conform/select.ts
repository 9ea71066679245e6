// Patterns → the cases they name. A pattern is anchored: 6.* takes section 6 and nothing of 16; a leading ! takes away.
// Only * is special. Linear in pattern and id.

/** Two pointers and one point to come back to: no backtracking beyond the last star. */
export const matches = (pattern: string, id: string): boolean => {
  let p = 0;
  let i = 0;
  let star = -1;
  let back = 0;
  while (i < id.length) {
    if (pattern[p] === '*') {
      star = p++;
      back = i;
    } else if (p < pattern.length && pattern[p] === id[i]) {
      p++;
      i++;
    } else if (star >= 0) {
      p = star + 1;
      i = ++back;
    } else return false;
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
};

/** Read in order, the last pattern that fits decides; a list that begins by taking away begins with all. */
export const isSelected = (patterns: readonly string[], id: string): boolean => {
  let selected = patterns[0]?.startsWith('!') ?? true;
  for (const pattern of patterns) {
    const away = pattern.startsWith('!');
    if (matches(away ? pattern.slice(1) : pattern, id)) selected = !away;
  }
  return selected;
};

/** `6.*,7.1.*,!6.4.*` → its patterns. */
export const parsePatterns = (text: string): string[] =>
  text
    .split(',')
    .map((p) => p.trim())
    .filter((p) => p !== '' && p !== '!');
