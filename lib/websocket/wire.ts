// What carries the bytes of a connection: a socket's driver, or a pair in memory. It never calls back from inside a call of ours.

export interface Wire {
  /** Monotonic whole milliseconds. */
  now(): number;
  /** The same with fractions, for round trips. */
  exact(): number;
  /**
   * Something is owed outside of a read: come back for it soon, once for all that comes until then. `plain`: only bytes are owed, no
   * state has changed and no deadline has come nearer.
   */
  wake(plain?: boolean): void;
  /** Come back when others have had their turn. */
  later(): void;
  /** Writes what is owed now. */
  flush(): void;
  pause(): void;
  resume(): void;
  /** Bytes it has taken and not got rid of. */
  readonly pending: number;
  destroy(): void;
  /** The process has something to wait for, or not any more: what was received and not yet taken, on a socket that is gone. */
  stay(on: boolean): void;
}
