// What the specs of the server share: a server that ends with its test, and one request with its whole answer. Not a spec.

import type { Test } from 'tap';
import { connect, type UpgradeOptions, upgradeRequest, type Wire } from '../../fixtures/rig/wire.js';
import {
  type Connection,
  createServer,
  type Listening,
  type ListenOptions,
  type OnConnection,
  type Refused,
  type Server,
  type ServerOptions,
} from '../../lib/index.js';
import { until } from '../hostile/stage.js';

export { until, within } from '../hostile/stage.js';

/** Every seat is given back: a refused peer holds its own until it has hung up. */
export const isEmpty = async (server: Pick<Server<unknown>, 'counts'>, ms = 3_000): Promise<boolean> =>
  until(() => Object.values(server.counts()).every((count) => count === 0), ms);

export interface Scene<Data> {
  readonly server: Server<Data>;
  readonly listening: Listening;
  /** 0 on a Unix socket. */
  readonly port: number;
  /** Every connection, in order. */
  readonly connections: Connection<Data>[];
  readonly refused: Refused[];
  readonly errors: Error[];
}

export const echo = (connection: Connection<never> | Connection<unknown>): void => {
  connection.on('message', (data, binary) => connection.send(data, { binary }));
};

/** A server on 127.0.0.1 that echoes, unless told otherwise. */
export const open = async <Data = undefined>(
  t: Test,
  options: ServerOptions<Data> = {},
  onConnection: OnConnection<Data> = (connection) => echo(connection as Connection<unknown>),
  where: ListenOptions = {},
): Promise<Scene<Data>> => {
  const connections: Connection<Data>[] = [];
  const server = createServer<Data>({ closeTimeout: 200, ...options }, (connection) => {
    connections.push(connection);
    return onConnection(connection);
  });
  t.teardown(() => server.close({ drain: 20 }));
  const refused: Refused[] = [];
  const errors: Error[] = [];
  server.on('refused', (one) => refused.push(one)).on('error', (error) => errors.push(error));
  const listening = await server.listen(where);
  return { server, listening, port: listening.port ?? 0, connections, refused, errors };
};

export interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
  /** The value of a header, the first one. */
  field(name: string): string | undefined;
}

/** The next answer on a wire, with its body. */
export const readAnswer = async (wire: Wire, noBody = false): Promise<Answer> => {
  const head = await wire.readHead();
  const field = (name: string): string | undefined => {
    const line = head.split('\r\n').find((one) => one.toLowerCase().startsWith(`${name.toLowerCase()}:`));
    return line?.slice(name.length + 1).trim();
  };
  const size = noBody ? 0 : Number(field('Content-Length') ?? 0);
  const body = Buffer.from(await wire.read(size)).toString();
  return { status: Number(head.split(' ')[1]), head, body, field };
};

/** One request on a socket of its own. Whoever is refused must also be hung up on. */
export const ask = async (port: number, request: string | Uint8Array): Promise<Answer> => {
  const wire = await connect(port);
  try {
    wire.write(request);
    const answer = await readAnswer(wire, typeof request === 'string' && request.startsWith('HEAD '));
    if (answer.status !== 101) await wire.ended();
    return answer;
  } finally {
    wire.destroy();
  }
};

/** The same with the right request, but for what is told. */
export const askUpgrade = (port: number, options: UpgradeOptions = {}): Promise<Answer> =>
  ask(port, upgradeRequest(port, options));

/** A plain request. */
export const plain = (method: string, path: string, ...fields: readonly string[]): string =>
  `${[`${method} ${path} HTTP/1.1`, 'Host: localhost', ...fields].join('\r\n')}\r\n\r\n`;

/** Sends a text and waits for it to come back; skips everything else. */
export const roundTrip = async (wire: Wire, text: string): Promise<string> => {
  wire.sendFrame({ opcode: 1, payload: text });
  for (;;) {
    const frame = await wire.readFrame();
    if (frame.opcode === 1) return Buffer.from(frame.payload).toString();
  }
};
