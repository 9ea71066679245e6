// What a command of `wsd` is, and the world it may touch: streams, environment and one signal, all handed in, so that a spec can
// run a command inside its own process. Knows no command. Data goes to stdout, talk goes to stderr.

/** Where text and bytes go. A process stream fits, and so does an array in a spec. */
export interface Out {
  write(data: string | Uint8Array): boolean;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface Io {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: Out;
  readonly stderr: Out;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** How this program is called, for lines to try. */
  readonly program?: string;
  /** Aborted by the first SIGINT, SIGTERM or SIGHUP, with the name of the signal as its reason. */
  readonly signal: AbortSignal;
  /** While somebody listens, SIGHUP ends nothing: it is told to him, every time. Returns what ends the listening. */
  readonly onHangup?: (listener: () => void) => () => void;
}

/** A flag as it is typed, and what is typed behind it. */
export interface FlagWord {
  readonly word: string;
  readonly short: string | undefined;
  readonly takes: 'nothing' | 'file' | 'word';
  /** Of a word: the only ones there are; empty when it may be any. */
  readonly choices: readonly string[];
}

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What stands after `usage:`, for example `wsd connect URL [options]`. */
  readonly usage: string;
  /** The whole text of `wsd help NAME`, ending in a line end; help-layout.ts makes it fit a terminal. */
  readonly help: string;
  /** For shell completion. */
  readonly flags?: readonly FlagWord[];
  /** For shell completion: what may stand there besides flags, where that is a list of words. */
  readonly words?: readonly string[];
  /** `args` are the words after the command's name. Settles with the exit code. */
  run(args: readonly string[], io: Io): Promise<number>;
}

/** The exit codes of every command. `undelivered`: messages of a packet session that may not have arrived. */
export const EXIT = { ok: 0, failure: 1, usage: 2, undelivered: 3, interrupted: 130, terminated: 143 } as const;

/** The exit code of a command that a signal ended. */
export const signalExit = (signal: AbortSignal): number =>
  signal.reason === 'SIGTERM' ? EXIT.terminated : EXIT.interrupted;

/** The words after the command's name make no sense: told in one sentence with a pointer to the help, exit code 2. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** Something outside failed and can be told in one sentence: exit code 1, no stack. */
export class CommandError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CommandError';
  }
}
