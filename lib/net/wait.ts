// The one place that waits by a timer of its own, for things that happen once in the life of a server. Connections use the wheel.

/** Calls back once after so many ms; the returned function calls it off. A process lives as long as it waits. */
export const after = (ms: number, call: () => void): (() => void) => {
  const timer = setTimeout(call, ms);
  return () => clearTimeout(timer);
};
