// Steps around a handler → one function. Each step gets the context and `next`, which runs what is inside it and returns what that returned:
// a value or a promise, so that what is synchronous stays so. Knows nothing of packages. PROTOCOL.md section 8.5.

/** Returns what `next()` returned, or something instead of it. */
export type Step<Context> = (context: Context, next: () => unknown) => unknown;

/** The steps in their order, the first one outermost. A second `next()` of one step would run the handler twice, and throws. */
export const compose = <Context>(
  steps: readonly Step<Context>[],
  last: (context: Context) => unknown,
): ((context: Context) => unknown) => {
  if (steps.length === 0) return last;
  return (context) => {
    const run = (at: number): unknown => {
      const step = steps[at];
      if (step === undefined) return last(context);
      let called = false;
      return step(context, () => {
        if (called) throw new TypeError('next() was called twice');
        called = true;
        return run(at + 1);
      });
    };
    return run(0);
  };
};
