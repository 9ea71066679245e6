// What `serve` and `connect` are told about packet sessions → options of the public door: which certificate is shown, and who is trusted. Keys and
// certificates come from files; a pin is no secret. What contradicts itself is refused here, in words of flags.
import { type CertificateSource, certificateInfo, describeOptions, type PacketLayerOptions } from '../index.js';
import { CommandError, UsageError } from './command.js';
import type { Flag, Flags } from './flags.js';
import { readFileOrSay } from './read-file.js';

const MODES = ['required', 'none'] as const;
const CLIENT_CERTIFICATE = ['none', 'optional', 'required'] as const;
export type ClientCertificate = (typeof CLIENT_CERTIFICATE)[number];

const MODE: Flag = {
  name: 'packet-mode',
  choices: MODES,
  help: 'required: handshake, then every packet is sealed (default); none: clear packets; both ends must say so',
};

const defaultOf = (name: string): number =>
  Number(describeOptions('serverPackets').find((option) => option.name === name)?.default);

export const SERVER_PACKET_FLAGS: readonly Flag[] = [
  {
    name: 'packets',
    help: 'packet sessions beside plain messages: sealed, acknowledged, resumed when a connection is lost',
  },
  { name: 'packet-cert', value: 'FILE', help: 'the certificate of the sessions (PEM): wsd keygen makes one' },
  { name: 'packet-key', value: 'FILE', help: 'and its private key (PEM); without both the server is anonymous' },
  {
    name: 'client-certificate',
    choices: CLIENT_CERTIFICATE,
    help: 'whether clients show a certificate (default none)',
  },
  { name: 'pin', value: 'SHA256', many: true, help: 'trust the client that has this certificate' },
  { name: 'anchor', value: 'FILE', many: true, help: 'trust clients whose certificate this CA signed (PEM)' },
  MODE,
  { name: 'max-sessions', value: 'N', help: `most sessions at a time (default ${defaultOf('maxSessions')})` },
  {
    name: 'resume-ttl',
    value: 'MS',
    help: `how long a session waits for its client to come back (default ${defaultOf('resumeTtl') / 1000}s)`,
  },
];

export const CLIENT_PACKET_FLAGS: readonly Flag[] = [
  { name: 'packets', help: 'a packet session: what is sent is sealed, acknowledged, and survives lost connections' },
  {
    name: 'pin',
    value: 'SHA256',
    many: true,
    help: 'the server is the one that has this certificate: wsd keygen told its pin',
  },
  { name: 'anchor', value: 'FILE', many: true, help: 'or one whose certificate this CA signed (PEM)' },
  { name: 'name', value: 'NAME', help: 'for this name (default the host of URL)' },
  { name: 'anonymous', help: 'or any server: keeps listeners out, but nobody who stands in between' },
  { name: 'packet-cert', value: 'FILE', help: 'our certificate (PEM), for a server that wants to know us' },
  { name: 'packet-key', value: 'FILE', help: 'and its private key (PEM)' },
  MODE,
  { name: 'unreliable', help: 'send without acknowledgement: what is lost with a connection stays lost' },
  { name: 'compress', help: 'deflate what is sent where that makes it shorter; not for secrets' },
  {
    name: 'reconnect',
    value: 'N',
    help: 'how many attempts in a row to come back, 0 for none (default 10, at a terminal no end)',
  },
];

/** Flags that say something only together with --packets. */
export const refuseWithoutPackets = (table: readonly Flag[], flags: Flags): void => {
  if (flags.has('packets')) return;
  const lonely = table.find(({ name }) => flags.has(name));
  if (lonely !== undefined) throw new UsageError(`--${lonely.name} is for packet sessions: add --packets`);
};

/** What both sides can be told. */
type Common = Pick<PacketLayerOptions, 'mode' | 'certificate' | 'key' | 'pins' | 'anchors' | 'maxMessage'>;

export const readCommon = async (flags: Flags): Promise<Common> => {
  const mode = flags.oneOf('packet-mode', MODES) ?? 'required';
  const certFile = flags.text('packet-cert');
  const keyFile = flags.text('packet-key');
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new UsageError('--packet-cert and --packet-key go together');
  }
  const pins = flags.all('pin').map(readPin);
  const anchors = await Promise.all(flags.all('anchor').map(readCertificate));
  const maxMessage = flags.bytes('max-message');
  const common: Common = {
    mode,
    ...(pins.length === 0 ? {} : { pins }),
    ...(anchors.length === 0 ? {} : { anchors }),
    ...(maxMessage === undefined ? {} : { maxMessage }),
  };
  if (certFile === undefined || keyFile === undefined) return common;
  const [certificate, key] = await Promise.all([readCertificate(certFile), readFileOrSay(keyFile)]);
  return { ...common, certificate, key };
};

/** In mode none nobody shows anything. */
export const refuseInClear = (names: readonly string[], flags: Flags): void => {
  if (flags.text('packet-mode') !== 'none') return;
  const idle = names.find((name) => flags.has(name));
  if (idle !== undefined) throw new UsageError(`--packet-mode none has no handshake: --${idle} would do nothing`);
};

export const readClientCertificate = (flags: Flags): ClientCertificate => {
  const wanted = flags.oneOf('client-certificate', CLIENT_CERTIFICATE) ?? 'none';
  const trusted = ['pin', 'anchor'].find((name) => flags.has(name));
  if (wanted === 'none' && trusted !== undefined) {
    throw new UsageError(`--${trusted} says which clients are trusted: add --client-certificate required or optional`);
  }
  if (wanted !== 'none' && trusted === undefined) {
    throw new UsageError(`--client-certificate ${wanted} needs to know whom to trust: add --pin or --anchor`);
  }
  return wanted;
};

const readPin = (text: string): string => {
  if (!/^[0-9a-f]{64}$/i.test(text.replaceAll(':', ''))) {
    throw new UsageError('--pin takes the SHA-256 of a certificate: 64 hexadecimal digits, as wsd keygen tells them');
  }
  return text;
};

/** Looked at once, so that what is wrong is told with the name of the file. */
const readCertificate = async (path: string): Promise<CertificateSource> => {
  const certificate = await readFileOrSay(path);
  try {
    certificateInfo(certificate);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new CommandError(`${path}: ${error.message}`, { cause: error });
  }
  return certificate;
};
