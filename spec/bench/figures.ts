// Numbers of a measurement: the middle of several, and how they are written. Knows nothing of what was measured.

/** The middle one; of an even count the mean of the two in the middle. Robust against the one round in which the machine was busy. */
export const median = (values: readonly number[]): number => {
  if (values.length === 0) throw new RangeError('the median of nothing');
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const upper = sorted[half] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] as number) + upper) / 2;
};

/** Three digits that count: 0.412, 8.49, 59.2, 3450. */
export const figure = (value: number): string => {
  if (!Number.isFinite(value)) return '-';
  // Rounded first: 99.96 has three digits before the point once it is 100.
  const rounded = Number(value.toPrecision(3));
  const digits = rounded === 0 ? 0 : Math.floor(Math.log10(Math.abs(rounded)));
  return (digits > 2 ? value : rounded).toFixed(Math.min(3, Math.max(0, 2 - digits)));
};

export const bytesFigure = (bytes: number): string =>
  bytes >= 1 << 20 ? `${bytes / (1 << 20)} MiB` : bytes >= 1024 ? `${bytes / 1024} KiB` : `${bytes} B`;

export interface Column {
  readonly title: string;
  readonly right?: boolean;
}

/** A Markdown table that is readable as it is, too: cells are padded to the width of their column. */
export const markdownTable = (columns: readonly Column[], rows: readonly (readonly string[])[]): string => {
  const safe = rows.map((row) => columns.map((_, i) => (row[i] ?? '').replaceAll('|', '\\|')));
  const widths = columns.map(({ title }, i) =>
    Math.max(3, title.length, ...safe.map((row) => (row[i] as string).length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => (columns[i]?.right === true ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0))).join(' | ')} |`;
  const rule = columns.map(({ right }, i) => {
    const dashes = '-'.repeat(widths[i] as number);
    return right === true ? `${dashes.slice(1)}:` : dashes;
  });
  return [line(columns.map(({ title }) => title)), line(rule), ...safe.map(line)].join('\n');
};
