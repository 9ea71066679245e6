// What the specs of sessions over real connections share: servers and certificates, and a raw client that has the keys of a real handshake and can
// send any packet under them. Not a spec.

import type { Test } from 'tap';
import { PROLOGUE } from '../../fixtures/rig/packets.js';
import { RawPeer } from '../../fixtures/rig/raw-peer.js';
import { upgrade, type Wire } from '../../fixtures/rig/wire.js';
import { nodeSuite } from '../../lib/crypto/node.js';
import {
  type ClientOptions,
  type ClientPacketOptions,
  connect,
  createServer,
  type MadeCertificate,
  makeCertificate,
  type RefusedSession,
  type Server,
  type ServerOptions,
  type ServerPacketOptions,
  type Session,
} from '../../lib/index.js';
import { newClientHandshake } from '../../lib/packet/handshake-new.js';
import { SESSION_LIMITS, type SessionSettings } from '../../lib/packet/settings.js';
import { closeOf, until } from '../hostile/stage.js';

export const NEVER: string = '00'.repeat(32);
export const QUICK: { readonly min: number; readonly max: number } = { min: 1, max: 1 };
export const ANYBODY: ClientPacketOptions = { anonymous: true, reconnect: QUICK };

export interface Scene {
  readonly server: Server;
  readonly url: string;
  readonly port: number;
  /** Every session of the server, in order. */
  readonly sessions: Session[];
  readonly refused: RefusedSession[];
  readonly errors: Error[];
}

/** A server of packet sessions that ends with its test. */
export const open = async (
  t: Test,
  packets: ServerPacketOptions = {},
  onSession: (session: Session) => unknown = () => {},
  options: ServerOptions<undefined> = {},
  port = 0,
): Promise<Scene> => {
  const server = createServer({ closeTimeout: 200, ...options, packets });
  t.teardown(() => server.close({ drain: 100 }));
  const sessions: Session[] = [];
  const refused: RefusedSession[] = [];
  const errors: Error[] = [];
  server.on('refusedSession', (one) => refused.push(one)).on('error', (error) => errors.push(error));
  server.on('session', (session) => {
    sessions.push(session);
    return onSession(session);
  });
  const listening = await server.listen(port);
  return { server, url: listening.url, port: listening.port ?? 0, sessions, refused, errors };
};

/** A client that ends with its test. */
export const join = async (
  t: Test,
  url: string,
  packets: ClientPacketOptions = ANYBODY,
  options: ClientOptions = {},
): Promise<Session> => {
  const session = await connect(url, { timeout: 10_000, ...options, packets });
  t.teardown(() => session.close());
  return session;
};

/** Both ends of one session. */
export const pair = async (
  t: Test,
  server: ServerPacketOptions = {},
  client: ClientPacketOptions = ANYBODY,
): Promise<Scene & { readonly client: Session; readonly peer: Session }> => {
  const scene = await open(t, server);
  const mine = await join(t, scene.url, client);
  const [peer] = scene.sessions;
  if (peer === undefined) throw new Error('the server has no session');
  return { ...scene, client: mine, peer };
};

export const echo = (session: Session): void => {
  session.on('message', (data, { reliable }) => session.send(data, { reliable }));
};

/** What arrived, as text. */
export const textsOf = (session: Session): string[] => {
  const texts: string[] = [];
  session.on('message', (data) => texts.push(Buffer.from(data).toString()));
  return texts;
};

/** A message there and its echo back. */
export const roundTrip = async (session: Session, text = 'are you there'): Promise<boolean> => {
  let heard = false;
  const listen = (data: Uint8Array): void => {
    heard ||= Buffer.from(data).toString() === text;
  };
  session.on('message', listen);
  session.send(text);
  const answered = await until(() => heard);
  session.off('message', listen);
  return answered;
};

export const certificate = (
  t: Test,
  options: Partial<Parameters<typeof makeCertificate>[0]> = {},
): Promise<MadeCertificate> | MadeCertificate => {
  t.comment(`a certificate for ${options.names?.join(', ') ?? options.subject ?? '127.0.0.1'}`);
  return makeCertificate({ now: Date.now(), names: ['127.0.0.1'], subject: 'spec', ...options });
};

/** How they are given to a server or client. */
export const shown = (made: MadeCertificate): { readonly certificate: string; readonly key: string } => ({
  certificate: made.certificatePem,
  key: made.keyPem,
});

const settings: SessionSettings = {
  ...SESSION_LIMITS,
  suite: nodeSuite,
  mode: 'required',
  prologue: PROLOGUE,
  anonymous: true,
};

const HEADERS = { 'Sec-WebSocket-Protocol': 'v0.packet.wsd' };

/** A raw client: its packets are whatever a spec says. */
export class RawClient extends RawPeer {
  readonly wire: Wire;

  constructor(wire: Wire) {
    super();
    this.wire = wire;
  }

  /** Only the WebSocket is open. */
  static async dial(port: number, path = '/'): Promise<RawClient> {
    return new RawClient(await upgrade(port, { headers: HEADERS, path }));
  }

  /** With a session. */
  static async open(port: number, path = '/'): Promise<RawClient> {
    const client = await RawClient.dial(port, path);
    const handshake = newClientHandshake(settings, 'stream', undefined);
    client.say(handshake.start(0, 0));
    while (client.secrets === undefined) {
      const frame = await client.wire.readFrame();
      if (frame.opcode !== 2) throw new Error(`closed: ${JSON.stringify(closeOf(frame.payload))}`);
      const step = handshake.receive(frame.payload);
      for (const packet of step.send) client.say(packet);
      if (step.kind === 'failed') throw new Error(step.fault.code);
      if (step.kind === 'done') client.secrets = step.secrets;
    }
    client.next = 2;
    return client;
  }

  say(packet: Uint8Array): void {
    this.wire.sendFrame({ opcode: 2, payload: packet });
  }

  /** The next packet, opened. */
  async hear(): Promise<ReturnType<RawPeer['heard']>[number]> {
    const frame = await this.wire.readFrame();
    if (frame.opcode !== 2) throw new Error(`closed: ${JSON.stringify(closeOf(frame.payload))}`);
    this.carrier.sent.push(Uint8Array.from(frame.payload));
    const [packet] = this.heard();
    if (packet === undefined) throw new Error('nothing');
    return packet;
  }

  /** The Close frame, which it answers; packets before it are passed over. */
  async closed(timeoutMs?: number): Promise<{ readonly code: number; readonly reason: string }> {
    for (;;) {
      const frame = await this.wire.readFrame(timeoutMs);
      if (frame.opcode !== 8) continue;
      this.wire.sendFrame({ opcode: 8, payload: frame.payload.subarray(0, 2) });
      return closeOf(frame.payload);
    }
  }
}

/** An AUTH with a fresh key: what begins a handshake. */
export const auth = (): Uint8Array => newClientHandshake(settings, 'stream', undefined).start(0, 0);
