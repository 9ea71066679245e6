// A server of packet sessions that says back what it hears, and a line to it that a spec can cut. Not a spec.

import type { Test } from 'tap';
import type { Pin } from '../../lib/browser/index.js';
import {
  createServer,
  type MadeCertificate,
  makeCertificate,
  type Server,
  type ServerPacketOptions,
  type Session,
} from '../../lib/index.js';
import { Line } from '../link/line.js';

export interface Scene {
  readonly server: Server;
  readonly line: Line;
  readonly made: MadeCertificate;
  /** Of the server's certificate, as a page needs it. */
  readonly pin: Pin;
  /** Every session there was. */
  readonly sessions: readonly Session[];
  /** What became of the deliveries of the server. */
  readonly fates: readonly string[];
}

export const newCertificate = (): MadeCertificate =>
  makeCertificate({ now: Date.now(), names: ['127.0.0.1'], subject: 'a server' });

export const pinOf = ({ info, publicKey }: MadeCertificate): Pin => {
  if (publicKey === undefined) throw new Error('the key is not one of P-256');
  return { sha256: info.fingerprint, publicKey };
};

interface Setting {
  readonly packets?: ServerPacketOptions;
  readonly origins?: readonly string[];
}

/** What is said is said back, deflated as well where that is what the first octet asks for. */
export const DEFLATE_ME = 0xdf;

export const setUp = async (t: Test, { packets = {}, origins }: Setting = {}): Promise<Scene> => {
  const made = newCertificate();
  const own = packets.mode === 'none' ? {} : { certificate: made.certificatePem, key: made.keyPem };
  const sessions: Session[] = [];
  const fates: string[] = [];
  const server = createServer({
    deflate: true,
    ...(origins === undefined ? {} : { origins: [...origins] }),
    packets: { ...own, ...packets },
  });
  server.on('session', (session) => {
    sessions.push(session);
    session.on('message', (data, { reliable }) => {
      const delivery = session.send(data, { reliable, compress: data[0] === DEFLATE_ME });
      if (reliable) void delivery.then((fate) => fates.push(fate));
    });
  });
  t.teardown(() => server.close({ drain: 20 }));
  const { port = 0 } = await server.listen();
  const line = await Line.to(t, port);
  return { server, line, made, pin: pinOf(made), sessions, fates };
};
