// Our own client as the tested side of any fuzzing server: asks how many cases there are, echoes its way through them, asks for the
// report and for every grade. The client comes through the public door, and only when asked for, so that a fuzzer never loads it.
import type { Behavior } from './case.js';
import { inParallel } from './pool.js';

/** As much of a connection as an echo needs. */
export interface EchoConnection {
  on(event: 'message', listener: (data: string | Uint8Array, binary: boolean) => void): unknown;
  send(data: string | Uint8Array): unknown;
  readonly closed: Promise<unknown>;
}

export interface RunClientOptions {
  /** How many cases at a time. Default 4. */
  readonly jobs?: number;
  /** How to connect. Default: connect() of this package with compression on. */
  readonly dial?: (url: string) => Promise<EchoConnection>;
  readonly signal?: AbortSignal;
  readonly onCase?: (done: number, total: number) => void;
  /** Ask the fuzzing server for the name and grade of every case afterwards. Default true. */
  readonly grades?: boolean;
  /** Ask the fuzzing server to end once the report is written. */
  readonly shutdown?: boolean;
}

export interface ClientGrade {
  readonly id: string;
  readonly behavior: Behavior | 'unknown';
}

export interface ClientRun {
  readonly cases: number;
  readonly grades: readonly ClientGrade[];
}

const ownDial = async (url: string): Promise<EchoConnection> => {
  const { connect } = await import('../index.js');
  // As long as the suite itself waits for an opening handshake.
  return connect(url, { deflate: true, timeout: 5000 });
};

/** The first message of a control connection, once it has closed. */
const ask = async (dial: (url: string) => Promise<EchoConnection>, url: string): Promise<string | undefined> => {
  const connection = await dial(url);
  let text: string | undefined;
  connection.on('message', (data) => {
    text ??= typeof data === 'string' ? data : undefined;
  });
  await connection.closed;
  return text;
};

const echo = async (dial: (url: string) => Promise<EchoConnection>, url: string): Promise<void> => {
  try {
    const connection = await dial(url);
    connection.on('message', (data) => void connection.send(data));
    await connection.closed;
  } catch {
    // Some cases are there to be refused. Whether this was right is for the fuzzing server to say.
  }
};

const readJson = (text: string | undefined): unknown => {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
};

const fieldOf = (text: string | undefined, name: string): string | undefined => {
  const value = readJson(text);
  if (typeof value !== 'object' || value === null) return undefined;
  const field: unknown = Reflect.get(value, name);
  return typeof field === 'string' ? field : undefined;
};

const BEHAVIORS: readonly string[] = ['OK', 'NON-STRICT', 'INFORMATIONAL', 'UNIMPLEMENTED', 'FAILED'];
const isBehavior = (text: string | undefined): text is Behavior => text !== undefined && BEHAVIORS.includes(text);

/** Rejects when the fuzzing server cannot be reached or does not tell how many cases it has. */
export const runClient = async (url: string, agent: string, options: RunClientOptions = {}): Promise<ClientRun> => {
  const { jobs = 4, dial = ownDial, signal } = options;
  const base = url.endsWith('/') ? url.slice(0, -1) : url;
  const name = encodeURIComponent(agent);
  const cases = readJson(await ask(dial, `${base}/getCaseCount`));
  if (typeof cases !== 'number') throw new TypeError(`${url} did not tell how many cases it has`);
  const numbers = Array.from({ length: cases }, (_, i) => i + 1);
  let done = 0;
  await inParallel(
    numbers,
    jobs,
    async (n) => {
      await echo(dial, `${base}/runCase?case=${n}&agent=${name}`);
      options.onCase?.(++done, cases);
    },
    signal,
  );
  const grades: ClientGrade[] = new Array<ClientGrade>(options.grades === false ? 0 : cases);
  if (options.grades !== false) {
    await inParallel(
      numbers,
      jobs,
      async (n) => {
        const id = fieldOf(await ask(dial, `${base}/getCaseInfo?case=${n}`), 'id');
        const behavior = fieldOf(await ask(dial, `${base}/getCaseStatus?case=${n}&agent=${name}`), 'behavior');
        grades[n - 1] = { id: id ?? String(n), behavior: isBehavior(behavior) ? behavior : 'unknown' };
      },
      signal,
    );
  }
  const end = options.shutdown === true ? '&shutdownOnComplete=true' : '';
  await ask(dial, `${base}/updateReports?agent=${name}${end}`);
  return { cases, grades };
};
