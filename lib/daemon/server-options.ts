// The configuration → what createServer takes, besides the packages. Reads the files that it names. Whoever connects without a subprotocol of packages
// is refused in the handshake with a sentence that says what to offer: this server has nothing else to say.
import { readFile } from 'node:fs/promises';
import {
  certificateInfo,
  createServer,
  type OpeningRequest,
  type Server,
  type ServerOptions,
  type ServerPacketOptions,
} from '../index.js';
import type { Config, SessionsConfig } from './config-types.js';
import { DaemonError, reasonOf } from './daemon-error.js';
import type { Home } from './home.js';
import type { DaemonLog } from './telling.js';

const PLAIN = 'v0.package.wsd';
const SECURE = 'v0.secure-package.wsd';
const PACKETS = 'v0.packet.wsd';

export const serverOptions = async (home: Home, config: Config): Promise<ServerOptions> => {
  const packets = config.sessions === false ? undefined : await packetOptions(home, config.sessions ?? {});
  const served = packets === undefined ? [PLAIN] : [PLAIN, SECURE, PACKETS];
  const options: ServerOptions = {
    ...config.server,
    ...(packets === undefined ? {} : { packets }),
    authorize: (request: OpeningRequest) =>
      request.subprotocols.some((name) => served.includes(name))
        ? { data: undefined }
        : { status: 400, body: `packages are served here: offer the subprotocol ${served.slice(0, 2).join(' or ')}\n` },
  };
  try {
    // Looks at them all; nothing is listened to yet.
    createServer(options);
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) {
      throw new DaemonError(`the configuration is not usable: ${error.message.replace(/^createServer: /, '')}`);
    }
    throw error;
  }
  return options;
};

const packetOptions = async (home: Home, sessions: SessionsConfig): Promise<ServerPacketOptions> => {
  const { certificate, key, anchors, ...rest } = sessions;
  const own = certificate === undefined || key === undefined;
  return {
    ...rest,
    ...(own
      ? { certificate: home.session.certificate, key: home.session.key }
      : { certificate: await read(certificate), key: await read(key) }),
    ...(anchors === undefined ? {} : { anchors: await Promise.all(anchors.map(read)) }),
  };
};

const read = async (path: string): Promise<Buffer> => {
  try {
    return await readFile(path);
  } catch (error) {
    throw new DaemonError(`cannot read ${path}: ${reasonOf(error)}`);
  }
};

/** A session without packages opens, which shows that it can be reached; but nothing here takes what it would say. */
export const refusePlainSessions = (server: Server, log: DaemonLog): void => {
  server.on('session', (session) => {
    const { remoteAddress: remote } = session;
    session.once('message', () => {
      const text = `ended a session of ${remote} that sent data without packages: ${SECURE} carries packages`;
      log.write('warn', 'session-refuse', text, { remote });
      void session.close();
    });
  });
};

/** What clients of sessions trust. */
export const pinOf = async (home: Home, { sessions }: Config): Promise<string | undefined> => {
  if (sessions === false) return undefined;
  if (sessions?.certificate === undefined) return home.session.pin;
  return certificateInfo(await read(sessions.certificate)).fingerprint;
};
