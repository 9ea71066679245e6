// Every option once: its type, default, limits and the sentence that explains it. The schemas refuse what they do not know, by name.
// The command line takes its flags and help from here (`describeOptions`); no layer below has a default of its own.
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import * as z from 'zod';
import { DEFLATE_DEFAULTS } from '../deflate/settings.js';
import type { ConnectionSettings } from '../websocket/settings.js';
import { explain } from './explain.js';
import { nodeOptions } from './node.js';
import { dispatchOptions, serverPackages } from './packages.js';
import { clientPackets, serverPackets } from './packets.js';
import type { Authorize, ChooseSubprotocol, ClientRest, OptionDescription, Resolved, ServerRest } from './types.js';

const KIB = 1024;
const MIB = 1024 * KIB;

const count = (least: number, text: string): z.ZodNumber => z.int().min(least).describe(text);
const ms = (text: string): z.ZodNumber =>
  z
    .number()
    .min(0)
    .max(2 ** 31 - 1)
    .describe(text);
const callable = <F>(): z.ZodType<F> => z.custom<F>((value) => typeof value === 'function', 'must be a function');
const rate = z.strictObject({ perSecond: z.number().positive(), burst: z.number().min(1) });

const deflate = z.strictObject({
  threshold: count(0, 'compress messages of at least this many bytes').default(DEFLATE_DEFAULTS.threshold),
  level: z.int().min(0).max(9).default(DEFLATE_DEFAULTS.level).describe('zlib level: 0 stores, 1 is fast, 9 is small'),
  memLevel: z.int().min(1).max(9).default(DEFLATE_DEFAULTS.memLevel).describe('zlib memory level'),
  contextTakeover: z
    .boolean()
    .default(false)
    .describe('keep the window between messages, both ways: smaller messages for up to 64 KiB a quiet connection'),
  serverBits: z.int().min(8).max(15).default(DEFLATE_DEFAULTS.serverBits).describe("log2 of the server's window"),
  clientBits: z.int().min(8).max(15).default(DEFLATE_DEFAULTS.clientBits).describe("log2 of the client's window"),
  maxRatio: z
    .number()
    .min(0)
    .default(DEFLATE_DEFAULTS.maxRatio)
    .describe('refuse messages over 1 MiB that grow more than this; 0: no guard'),
  engine: z.enum(['auto', 'documented']).default('auto').describe('documented: use only the documented zlib functions'),
});

/** What holds for a connection on either side. */
const connection = {
  maxMessage: count(1, 'largest message in bytes, after inflating')
    .max(2 ** 31 - 1)
    .default(16 * MIB),
  maxFragments: count(1, 'most frames of one message, empty ones included').default(131072),
  messageTimeout: ms('longest time from the first to the last frame of a message').default(300_000),
  closeTimeout: ms('time for the closing handshake; then the socket is cut').default(5_000),
  pingInterval: ms('ping a peer that was silent this long; 0: never').default(30_000),
  pingTimeout: ms('a peer that stays silent this long after such a ping is dead').default(20_000),
  idleTimeout: ms('close after this long without a message either way; 0: never').default(0),
  highWater: count(0, "send() reports 'full' above this many queued bytes").default(256 * KIB),
  maxBuffered: count(1, 'most bytes queued for a slow reader; then the policy decides').default(16 * MIB),
  policy: z
    .enum(['close', 'drop-newest', 'drop-oldest'])
    .default('close')
    .describe('what becomes of a connection or message that would exceed maxBuffered'),
  sharedReads: z
    .boolean()
    .default(true)
    .describe('read into one buffer shared by all connections, where the runtime allows it'),
  directWrites: z.boolean().default(true).describe("write past the socket's stream, where the runtime allows it"),
  text: z
    .enum(['string', 'bytes'])
    .default('string')
    .describe('whether text messages arrive as strings or as their UTF-8 bytes'),
  lend: z
    .boolean()
    .default(false)
    .describe("bytes given to a 'message' listener are only good until it returns: saves a copy"),
  concurrency: count(1, 'how many messages of a connection may be in asynchronous handlers at once').default(1),
  rate: rate.optional().describe('messages and control frames a peer may send: {perSecond, burst}; then 1008'),
  deflate: z.union([z.boolean(), deflate]).default(false).describe('permessage-deflate: true, or its settings'),
};

const connectionSchema = z.strictObject(connection);

const headLimits = z.strictObject({
  line: count(64, 'longest line of a request head').default(8 * KIB),
  total: count(128, 'largest request head').default(16 * KIB),
  fields: count(1, 'most header fields').default(100),
});

const serverSchema = z.strictObject({
  ...connection,
  path: z
    .union([z.string(), z.array(z.string()), callable<(path: string) => boolean>()])
    .optional()
    .describe("paths that are WebSockets; '/chat/*' is a prefix; absent: all"),
  origins: z
    .union([
      z.enum(['same', 'any']),
      z.array(z.string()),
      callable<(origin: string | undefined, host: string) => boolean>(),
    ])
    .default('same')
    .describe("which pages may connect: 'same' origin, 'any', or a list of origins"),
  hosts: z
    .union([z.enum(['any', 'loopback']), z.array(z.string())])
    .optional()
    .describe("Host names served; absent: 'loopback' for pages that reach a loopback address, else any"),
  subprotocols: z
    .union([z.array(z.string()), callable<ChooseSubprotocol>()])
    .default([])
    .describe('subprotocols in order of preference, or a function that chooses one of the offered'),
  authorize: callable<Authorize<unknown>>()
    .optional()
    .describe('asked before the 101: returns {data} to accept or {status} to refuse'),
  authorizeTimeout: ms('time for authorize(); then 503').default(10_000),
  handshakeTimeout: ms('time from accept to the answer of the handshake, whatever arrives meanwhile').default(10_000),
  maxConnections: count(1, 'most sockets at once').default(100_000),
  maxPerAddress: count(1, 'most sockets of one address; IPv6 counts by /64').default(100_000),
  maxHalfOpen: count(1, 'most sockets that have not finished the handshake').default(10_000),
  maxHalfOpenPerAddress: count(1, 'the same, of one address').default(10_000),
  maxPendingAuthorize: count(1, 'most authorize() calls at once').default(1_000),
  acceptRate: rate.optional().describe('new sockets: {perSecond, burst}; then 503'),
  acceptRatePerAddress: rate.optional().describe('new sockets of one address: {perSecond, burst}; then 429'),
  maxBufferedTotal: count(
    1,
    'most bytes queued for slow readers on all connections together; then the policy decides',
  ).default(512 * MIB),
  trustedProxies: z
    .array(z.string())
    .default([])
    .describe("addresses, CIDR ranges, 'loopback', 'private' or 'unix' whose forwarding header is believed"),
  forwardingHeader: z
    .enum(['x-forwarded-for', 'forwarded'])
    .default('x-forwarded-for')
    .describe('the header that the proxies write'),
  proxyProtocol: z.boolean().default(false).describe('expect a PROXY header (v1 or v2) from trusted proxies'),
  packets: serverPackets.optional().describe('serve packet sessions (v0.packet.wsd) beside plain messages'),
  packages: serverPackages
    .optional()
    .describe('serve packages (v0.package.wsd, with packets v0.secure-package.wsd too) beside plain messages'),
  head: headLimits.prefault({}).describe('limits of an HTTP head: {line, total, fields}'),
});

const clientSchema = z.strictObject({
  ...connection,
  headers: z
    .union(
      [z.record(z.string(), z.string()), z.array(z.tuple([z.string(), z.string()]))],
      'must be an object of strings, or a list of [name, value]',
    )
    .default({})
    .describe('header fields of the request'),
  subprotocols: z.array(z.string()).default([]).describe('subprotocols to offer, in order of preference'),
  origin: z.string().optional().describe('the Origin header; absent: none'),
  timeout: ms('time for the whole opening handshake; 0: none').default(30_000),
  redirects: count(0, 'how many redirects to follow').default(0),
  proxy: z.string().optional().describe('http:// or https:// URL of a proxy that tunnels by CONNECT'),
  signal: z
    .custom<AbortSignal>((value) => value instanceof AbortSignal, 'must be an AbortSignal')
    .optional()
    .describe('calls the dial off; an open connection is not touched'),
  tls: z
    .custom<TlsOptions>((value) => typeof value === 'object' && value !== null, 'must be an object')
    .optional()
    .describe('options of tls.connect, such as ca, cert and key'),
  packets: clientPackets.optional().describe('open a packet session (v0.packet.wsd)'),
  head: headLimits.prefault({}).describe('limits of an HTTP head: {line, total, fields}'),
});

type Parsed = z.output<typeof connectionSchema>;

const settingsOf = (options: Parsed, threshold: number): ConnectionSettings => ({
  maxMessage: options.maxMessage,
  maxFragments: options.maxFragments,
  messageTimeout: options.messageTimeout,
  closeTimeout: options.closeTimeout,
  pingInterval: options.pingInterval,
  pingTimeout: options.pingTimeout,
  idleTimeout: options.idleTimeout,
  highWater: options.highWater,
  maxBuffered: options.maxBuffered,
  policy: options.policy,
  threshold,
  sharedReads: options.sharedReads,
  directWrites: options.directWrites,
  text: options.text,
  lend: options.lend,
  concurrency: options.concurrency,
  rate: options.rate,
});

const resolve = <Rest>(options: Parsed & Rest): Resolved<Rest> => {
  const chosen = options.deflate;
  if (chosen === false) return { settings: settingsOf(options, Infinity), deflate: undefined, rest: options };
  const full = deflate.parse(chosen === true ? {} : chosen);
  return {
    settings: settingsOf(options, full.threshold),
    deflate: {
      terms: {
        serverNoContext: !full.contextTakeover,
        clientNoContext: !full.contextTakeover,
        serverBits: full.serverBits,
        clientBits: full.clientBits,
      },
      settings: { level: full.level, memLevel: full.memLevel, maxRatio: full.maxRatio, engine: full.engine },
    },
    rest: options,
  };
};

/** Throws a TypeError that names every option that is wrong or unknown. */
export const resolveServer = (options: unknown): Resolved<ServerRest> => {
  const parsed = serverSchema.safeParse(options);
  if (!parsed.success) throw explain('createServer', parsed.error, serverSchema);
  return resolve(parsed.data as Parsed & ServerRest);
};

/** The same for `connect`. */
export const resolveClient = (options: unknown): Resolved<ClientRest> => {
  const parsed = clientSchema.safeParse(options);
  if (!parsed.success) throw explain('connect', parsed.error, clientSchema);
  return resolve(parsed.data as Parsed & ClientRest);
};

/** The same for `createDispatch`, whose options are taken as they are. */
export const checkDispatch = (options: unknown): void => {
  const parsed = dispatchOptions.safeParse(options);
  if (!parsed.success) throw explain('createDispatch', parsed.error, dispatchOptions);
};

const SCHEMAS = {
  server: serverSchema,
  client: clientSchema,
  deflate,
  serverPackets,
  clientPackets,
  packages: serverPackages,
  dispatch: dispatchOptions,
  node: nodeOptions,
} as const;

/** Names, sentences and defaults, for help texts and documents. */
export const describeOptions = (
  of: 'server' | 'client' | 'deflate' | 'serverPackets' | 'clientPackets' | 'packages' | 'dispatch' | 'node',
): OptionDescription[] => {
  const schema = SCHEMAS[of];
  const shape = schema.shape as Record<string, z.ZodType>;
  return Object.entries(shape).map(([name, type]) => ({
    name,
    text: type.description ?? innerText(type),
    default: defaultOf(type),
  }));
};

const innerText = (type: z.ZodType): string => {
  const inner = (type as { unwrap?: () => z.ZodType }).unwrap?.();
  return inner === undefined ? '' : (inner.description ?? innerText(inner));
};

const defaultOf = (type: z.ZodType): unknown => {
  const parsed = type.safeParse(undefined);
  return parsed.success ? parsed.data : undefined;
};
