// Waiting that its caller may call off.

/** The promise, unless the signal is aborted first: then its reason. What was waited for goes on, unobserved. */
export const orAborted = <T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> => {
  if (signal === undefined) return promise;
  const called = new Promise<T>((done, failed) => {
    const abort = (): void => failed(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(done, failed).finally(() => signal.removeEventListener('abort', abort));
  });
  called.catch(() => {});
  return called;
};
