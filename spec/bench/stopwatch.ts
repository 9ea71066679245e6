// Unit benches: small functions called very many times. Variants that are to be compared are measured in turns, so that a machine that slows
// down slows them all; the figure is the median of the turns. Knows nothing of what it measures.
import { figure, markdownTable, median } from './figures.js';

export interface Unit {
  /** Units of one group are measured in turns and stand in one table. */
  readonly group: string;
  readonly name: string;
  /** Bytes that one operation works on, where a throughput says something. */
  readonly bytes?: number;
  /** Does it `count` times. Returns something that depends on all of it, so that nothing can be left out. */
  run(count: number): number;
}

export interface UnitResult {
  readonly group: string;
  readonly name: string;
  readonly bytes?: number;
  /** Nanoseconds for one operation. */
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Where results go, lest the engine see that nobody reads them. */
let sink = 0;

const time = (unit: Unit, count: number): number => {
  const begin = performance.now();
  sink = (sink + unit.run(count)) | 0;
  return performance.now() - begin;
};

/** How many operations take about `ms`; finds out by doing, which warms the code up. */
const calibrate = (unit: Unit, ms: number): number => {
  let count = 1;
  for (;;) {
    const took = time(unit, count);
    // Once more than needed: the engine has then compiled what it will.
    if (took >= ms && time(unit, count) > 0) return Math.max(1, Math.round((count * ms) / took));
    count *= took < ms / 10 ? 8 : 2;
  }
};

export const runUnits = (units: readonly Unit[], sampleMs: number, rounds: number): UnitResult[] => {
  const counts = units.map((unit) => calibrate(unit, sampleMs));
  const samples: number[][] = units.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, unit] of units.entries()) {
      const count = counts[i] as number;
      samples[i]?.push((time(unit, count) * 1e6) / count);
    }
  }
  return units.map(({ group, name, bytes }, i) => {
    const all = samples[i] as number[];
    const result = { group, name, median: median(all), min: Math.min(...all), max: Math.max(...all) };
    return bytes === undefined ? result : { ...result, bytes };
  });
};

export const groupsOf = (units: readonly Unit[]): Unit[][] => {
  const groups = new Map<string, Unit[]>();
  for (const unit of units) groups.set(unit.group, [...(groups.get(unit.group) ?? []), unit]);
  return [...groups.values()];
};

export const unitTable = (results: readonly UnitResult[]): string => {
  const columns = [
    { title: results[0]?.group ?? '' },
    { title: 'ns', right: true },
    { title: 'from', right: true },
    { title: 'to', right: true },
    { title: 'MB/s', right: true },
  ];
  const rows = results.map((one) => {
    const speed = one.bytes === undefined ? '' : Math.round((one.bytes * 1000) / one.median).toString();
    return [one.name, figure(one.median), figure(one.min), figure(one.max), speed];
  });
  return markdownTable(columns, rows);
};
