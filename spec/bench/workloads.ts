// What the servers are asked to do, as a table: how many connections, what they send, how much is under way at once. The names are those
// under which the figures are quoted. Knows no server and no socket.

export type Mode = 'echo' | 'sink' | 'broadcast' | 'connect' | 'idle';
export type Pmd = '0' | 'noctx' | 'ctx';

export interface Workload {
  readonly name: string;
  /** For the table in the README. */
  readonly title: string;
  readonly mode: Mode;
  readonly connections: number;
  /** Bytes of a message. */
  readonly size: number;
  readonly content: 'ascii' | 'multibyte' | 'json' | 'binary';
  /** Messages under way at once: of each connection, or for broadcasts of all. */
  readonly depth: number;
  readonly deflate: Pmd;
}

const echo = (name: string, title: string, rest: Partial<Workload>): Workload => ({
  name,
  title,
  mode: 'echo',
  connections: 64,
  size: 64,
  content: 'ascii',
  depth: 1,
  deflate: '0',
  ...rest,
});

/**
 * echo: each reply sets off the next message. sink: of `depth` messages the server drops all but the last. broadcast: one connection sends,
 * all receive; deliveries count. connect: connect, upgrade, one echo, closing handshake, end of TCP. idle: one echo each, then silence; what
 * counts is memory.
 */
export const WORKLOADS: readonly Workload[] = [
  echo('echo64', '64 B text, one in flight', {}),
  echo('echo64-c1', '64 B text, one connection', { connections: 1 }),
  echo('echo64-d32', '64 B text, 32 in flight', { depth: 32 }),
  echo('bin1k', '1 KiB binary, 256 connections', { connections: 256, size: 1024, content: 'binary' }),
  echo('txt1k', '1 KiB text', { size: 1024 }),
  echo('bin64k', '64 KiB binary', { connections: 16, size: 65_536, content: 'binary' }),
  echo('bin1m', '1 MiB binary', { connections: 4, size: 1_048_576, content: 'binary' }),
  echo('utf16k', '16 KiB text, 45 % multibyte', { connections: 16, size: 16_384, content: 'multibyte' }),
  echo('defl-noctx', '1 KiB JSON, deflate without takeover', { size: 1024, content: 'json', deflate: 'noctx' }),
  echo('defl-ctx', '1 KiB JSON, deflate with takeover', { size: 1024, content: 'json', deflate: 'ctx' }),
  echo('bcast500', '128 B broadcast to 500, per delivery', { mode: 'broadcast', connections: 500, size: 128 }),
  echo('bcast500-d8', 'the same, 8 broadcasts in flight', { mode: 'broadcast', connections: 500, size: 128, depth: 8 }),
  echo('sink64', '64 B received, 1 of 64 answered', { mode: 'sink', depth: 64 }),
  echo('connect', 'connect, one echo, close', { mode: 'connect', connections: 32 }),
  echo('idle', 'idle connection, KiB of memory', { mode: 'idle', connections: 10_000 }),
  echo('idle-defl', 'the same, deflate used', {
    mode: 'idle',
    connections: 5_000,
    size: 1024,
    content: 'json',
    deflate: 'ctx',
  }),
];

/** How cost grows with connections and with size: measured when asked for by name. */
export const GROWTH: readonly Workload[] = [
  echo('conns-10', '64 B text, 10 connections', { connections: 10 }),
  echo('conns-1000', 'the same, 1,000', { connections: 1_000 }),
  echo('conns-10000', 'the same, 10,000', { connections: 10_000 }),
  echo('size-16k', '16 KiB binary, 4 connections', { connections: 4, size: 16_384, content: 'binary' }),
  echo('size-160k', 'the same, ten times the size', { connections: 4, size: 163_840, content: 'binary' }),
  echo('size-1600k', 'the same, a hundred times', { connections: 4, size: 1_638_400, content: 'binary' }),
];

/** Those whose names match; without a pattern the ones every comparison has. */
export const chosen = (only: RegExp | undefined): readonly Workload[] =>
  only === undefined ? WORKLOADS : [...WORKLOADS, ...GROWTH].filter(({ name }) => only.test(name));

/** What one figure of a workload means. */
export const unitOf = (workload: Workload): 'KiB' | 'us' => (workload.mode === 'idle' ? 'KiB' : 'us');

/** Whether a server without WebSocket can be given the same bytes. */
export const suitsFloor = (workload: Workload): boolean => workload.deflate === '0' && workload.mode !== 'sink';
