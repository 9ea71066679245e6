// One connection of a load, whatever is on it: asks with a note, resolves with the one that comes back.
import { io } from 'socket.io-client';
import { connect } from '../../../lib/client/connect.js';
import { nodeSuite } from '../../../lib/crypto/node.js';
import { carryPackages, PACKAGE_PROTOCOL, type PackageLink } from '../../../lib/link/packages.js';
import { now, wall } from '../../../lib/net/clock.js';
import { Pacer } from '../../../lib/net/pacer.js';
import { PING } from '../../../lib/package/core-scopes.js';
import { Router } from '../../../lib/package/router.js';
import type { Service } from './cases.js';
import { type Keys, type NodeRole, nodeOf, nodeSecurity, USER } from './nodes.js';
import { type Bare, NOTE, type Note } from './note.js';

export interface Line {
  ask(note: Note): Promise<unknown>;
  close(): Promise<unknown>;
}

/** `ended`: before it was closed. */
export interface LineEnd {
  readonly url: string;
  readonly keys: Keys;
  readonly ended: (why: string) => void;
}

const bareLine = async ({ url, ended }: LineEnd): Promise<Line> => {
  const connection = await connect(url);
  const waiting = new Map<number, (body: unknown) => void>();
  let next = 0;
  connection.on('message', (data) => {
    const { id, body } = JSON.parse(data as string) as Bare;
    waiting.get(id)?.(body);
    waiting.delete(id);
  });
  connection.on('close', ({ code }) => ended(`closed with ${code}`));
  return {
    ask: (body) =>
      new Promise((resolve) => {
        const id = next++;
        waiting.set(id, resolve);
        connection.send(JSON.stringify({ id, body }));
      }),
    close: () => connection.close(),
  };
};

const socketLine = async ({ url, ended }: LineEnd): Promise<Line> => {
  const socket = io(url, { transports: ['websocket'], forceNew: true, reconnection: false });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('connect_error', reject);
  });
  socket.on('disconnect', ended);
  return {
    ask: (note) => socket.emitWithAck('note', note) as Promise<unknown>,
    close: async () => socket.disconnect(),
  };
};

const dial = async (
  { url, keys, ended }: LineEnd,
  { alg = 'HS256' }: Service,
  role: NodeRole,
  place: number,
): Promise<PackageLink<undefined>> => {
  const connection = await connect(url, { subprotocols: [PACKAGE_PROTOCOL] });
  const link = carryPackages<undefined, typeof connection>(connection, {
    ...nodeSecurity(alg, role, place, keys),
    router: new Router<undefined>().on(NOTE, (body) => body),
    now,
    wall,
    random: (size) => nodeSuite.random(size),
    data: undefined,
    pace: (paced) => new Pacer(paced),
  });
  void link.closed.then(({ code, reason }) => ended(`closed with ${code} ${reason}`));
  // Shows who it is.
  await link.peer.call(PING);
  return link;
};

/** A front that asks; behind a dispatch, and the service that answers it. */
const packageLine = async (end: LineEnd, service: Service, place: number, alone: boolean): Promise<Line> => {
  const links = [await dial(end, service, 'front', place)];
  const pair = service.kind === 'dispatch' && !alone;
  if (pair) links.push(await dial(end, service, 'service', place));
  const options = pair ? { ...USER, destination: nodeOf('service', place) } : USER;
  const { peer } = links[0] as PackageLink<undefined>;
  return {
    ask: (note) => peer.call(NOTE, note, options),
    close: () => Promise.all(links.map((link) => link.close())),
  };
};

/** `alone`: nobody will be asked. */
export const openLine = (end: LineEnd, service: Service, place: number, alone: boolean): Promise<Line> => {
  if (service.kind === 'socket.io') return socketLine(end);
  return service.alg === undefined ? bareLine(end) : packageLine(end, service, place, alone);
};
