// The options of packet sessions, for both sides: types, defaults, limits, texts. The numbers are those of lib/packet/PROTOCOL.md section 10.
import * as z from 'zod';
import { RECONNECT } from '../packet/reconnect.js';
import { SESSION_LIMITS } from '../packet/settings.js';

const octets = z.union([z.string(), z.instanceof(Uint8Array)], 'must be PEM text or DER bytes');
const count = (least: number, most: number, text: string): z.ZodNumber => z.int().min(least).max(most).describe(text);
const ms = (text: string): z.ZodNumber => count(1, 2 ** 31 - 1, text);

const pin = z.union(
  [z.string(), z.strictObject({ sha256: z.string(), publicKey: z.union([z.string(), z.instanceof(Uint8Array)]) })],
  'must be a SHA-256 in hexadecimal, or {sha256, publicKey}',
);

const both = {
  mode: z
    .enum(['required', 'none'])
    .default('required')
    .describe('required: handshake, then every packet sealed. none: clear packets; both ends must say so'),
  certificate: octets.optional().describe('our certificate, PEM or DER'),
  key: octets.optional().describe('its private key, PEM or DER'),
  passphrase: z.string().optional().describe('of an encrypted key'),
  pins: z.array(pin).default([]).describe("SHA-256 of the peer's certificates that are trusted as they are"),
  anchors: z.array(octets).default([]).describe("certificates of CAs that are trusted to sign the peer's"),
  context: octets.optional().describe('bytes that both ends must agree on, besides the subprotocol: part of every key'),
  crypto: z.enum(['node', 'portable']).default('node').describe("node's own cryptography, or what a page uses"),
  maxMessage: count(1, 2 ** 31 - 1, 'largest message in bytes, inflated').default(SESSION_LIMITS.maxMessage),
  heartbeat: ms('a PING after this much silence').default(SESSION_LIMITS.heartbeat),
  heartbeatTimeout: ms('a peer that stays silent this long after it is gone').default(SESSION_LIMITS.heartbeatTimeout),
  handshakeTimeout: ms('time for the handshake').default(SESSION_LIMITS.handshakeTimeout),
  maxUnacked: count(1, 1024, 'most RELIABLE messages without an acknowledgement').default(SESSION_LIMITS.maxUnacked),
  maxUnackedBytes: count(1, 2 ** 31 - 1, 'their bytes').default(SESSION_LIMITS.maxUnackedBytes),
};

export const serverPackets: z.ZodObject = z.strictObject({
  ...both,
  clientCertificate: z
    .enum(['none', 'optional', 'required'])
    .default('none')
    .describe('whether clients show a certificate'),
  maxSessions: count(1, 2 ** 31 - 1, 'most sessions with a connection; a quarter as many are kept without one').default(
    10_000,
  ),
  resumeTtl: ms('how long a session outlives its connection').default(60_000),
});

export const reconnect: z.ZodObject = z.strictObject({
  min: ms('the first wait is up to this').default(RECONNECT.min),
  max: ms('longest wait').default(RECONNECT.max),
  attempts: z.union([z.int().min(1), z.literal(Number.POSITIVE_INFINITY)]).default(RECONNECT.attempts),
});

export const clientPackets: z.ZodObject = z.strictObject({
  ...both,
  anonymous: z
    .boolean()
    .default(false)
    .describe('accept a server without a certificate: open to whoever stands in between, except over wss'),
  name: z
    .string()
    .optional()
    .describe("the name in the server's certificate, with anchors; default: the host of the URL"),
  reconnect: z
    .union([z.literal(false), reconnect])
    .prefault({})
    .transform((value) => (value === false ? undefined : value))
    .describe('waits between attempts, {min, max, attempts}, with jitter; false: never'),
});
