// The packet sessions of `wsd serve --echo --packets`: their options from flags, the echo, and a line of the log for whatever happens to one.
import { certificateInfo, createServer, type Server, type ServerPacketOptions, type Session } from '../index.js';
import { CommandError } from './command.js';
import type { Flags } from './flags.js';
import {
  readClientCertificate,
  readCommon,
  refuseInClear,
  refuseWithoutPackets,
  SERVER_PACKET_FLAGS,
} from './packet-flags.js';
import { type Log, Tally } from './serve-log.js';
import { logDetached, logRefusedSession, logSessionClosed, logSessionOpened } from './serve-session-log.js';
import { count } from './terminal.js';

/** undefined: plain messages only. */
export const readServerPackets = async (flags: Flags): Promise<ServerPacketOptions | undefined> => {
  refuseWithoutPackets(SERVER_PACKET_FLAGS, flags);
  if (!flags.has('packets')) return undefined;
  refuseInClear(['packet-cert', 'client-certificate', 'pin', 'anchor', 'resume-ttl'], flags);
  const clientCertificate = readClientCertificate(flags);
  const maxSessions = flags.integer('max-sessions', 1, 2 ** 31 - 1);
  const resumeTtl = flags.duration('resume-ttl');
  const options = {
    ...(await readCommon(flags)),
    clientCertificate,
    ...(maxSessions === undefined ? {} : { maxSessions }),
    ...(resumeTtl === undefined ? {} : { resumeTtl: Math.max(resumeTtl, 1) }),
  };
  checkCertificates(options);
  return options;
};

/** Only a server reads keys and trust; one that listens nowhere tells about them before anything else is begun. */
const checkCertificates = (packets: ServerPacketOptions): void => {
  try {
    createServer({ packets });
  } catch (error) {
    if (!(error instanceof TypeError) || error.message.startsWith('createServer:')) throw error;
    throw new CommandError(`the certificates of the sessions are not usable: ${error.message}`, { cause: error });
  }
};

/** The words of `wsd connect` that open a session with this server. */
export const connectWords = (url: string, { mode, certificate, clientCertificate }: ServerPacketOptions): string => {
  if (mode === 'none') return `wsd connect --packets --packet-mode none ${url}`;
  const trust = certificate === undefined ? '--anonymous' : `--pin ${certificateInfo(certificate).fingerprint}`;
  const own = clientCertificate === 'required' ? ' --packet-cert FILE --packet-key FILE' : '';
  return `wsd connect --packets ${trust}${own} ${url}`;
};

/** What one session may leave with us that its client does not take back, and what a message costs besides its octets. */
const MOST_WAITING = 16 * 1024 * 1024;
const ENTRY = 256;

/** Sends back what comes, by the same reliability; RELIABLE messages wait for room, the others are dropped for want of it. */
export class Echo {
  readonly #session: Session;
  readonly #lost: (size: number) => void;
  readonly #waiting: Uint8Array[] = [];
  #bytes = 0;

  constructor(session: Session, lost: (size: number) => void) {
    this.#session = session;
    this.#lost = lost;
    session.on('drain', () => this.#go());
  }

  take(data: Uint8Array, reliable: boolean): void {
    if (!reliable) {
      this.#send(data, false);
      return;
    }
    this.#waiting.push(data);
    this.#bytes += data.length + ENTRY;
    this.#go();
    if (this.#bytes > MOST_WAITING) void this.#session.close('too much of the echo is not taken');
  }

  #go(): void {
    let sent = 0;
    for (const data of this.#waiting) {
      if (!this.#send(data, true)) break;
      sent++;
      this.#bytes -= data.length + ENTRY;
    }
    this.#waiting.splice(0, sent);
  }

  /** False: there is no room now. */
  #send(data: Uint8Array, reliable: boolean): boolean {
    try {
      return this.#session.send(data, { reliable, transfer: true }).status !== 'full';
    } catch {
      return this.#squeeze(data, reliable);
    }
  }

  /** It came deflated and is longer than 255 fragments without that. */
  #squeeze(data: Uint8Array, reliable: boolean): boolean {
    try {
      return this.#session.send(data, { reliable, compress: true, transfer: true }).status !== 'full';
    } catch {
      this.#lost(data.length);
      return true;
    }
  }
}

export const serveSessions = (server: Server, log: Log): void => {
  let last = 0;
  server.on('session', (session) => {
    last++;
    serveSession(session, last, log);
  });
  server.on('refusedSession', (refused) => logRefusedSession(log, refused));
};

const serveSession = (session: Session, number: number, log: Log): void => {
  const tally = new Tally(performance.now());
  let undelivered = 0;
  const echo = new Echo(session, (size) => {
    const text = `session ${number}: a message of ${count(size, 'byte')} is longer than its client takes`;
    log.write('warn', 'session-large', text, { session: number, bytes: size });
  });
  session.on('open', (how) => logSessionOpened(log, session, number, how));
  session.on('message', (data, { reliable }) => {
    tally.messages++;
    tally.bytes += data.length;
    echo.take(data, reliable);
  });
  session.on('detached', (why) => logDetached(log, session, number, why));
  session.on('undelivered', (messages) => {
    undelivered += messages.length;
  });
  session.on('error', (error) => {
    log.write('error', 'error', `session ${number}: ${error.message}`, { session: number, message: error.message });
  });
  session.on('close', (outcome) => logSessionClosed(log, number, outcome, tally, undelivered));
};
