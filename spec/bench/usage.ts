// What this process has used so far. The figures are the process's own, so they are the same on every system and in every runtime, and a
// wrapper around the process does not count.
import process from 'node:process';

export interface Usage {
  /** Microseconds of CPU, user and system, all threads. */
  readonly cpu: number;
  /** Bytes of memory that are resident. */
  readonly memory: number;
}

export const usage = (): Usage => {
  const { user, system } = process.cpuUsage();
  return { cpu: user + system, memory: process.memoryUsage().rss };
};
