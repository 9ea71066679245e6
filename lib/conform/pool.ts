// Many independent pieces of work, a few at a time, in the order given. Stops taking new ones when asked to.

export const inParallel = async <Item>(
  items: readonly Item[],
  jobs: number,
  work: (item: Item) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> => {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length && signal?.aborted !== true) await work(items[next++] as Item);
  };
  await Promise.all(Array.from({ length: Math.min(jobs, items.length) }, worker));
};
