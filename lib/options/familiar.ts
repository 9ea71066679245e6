// Options that other libraries call otherwise, or that go elsewhere here → the option or the place that is meant. People who come from ws or
// socket.io bring them along; README "Coming from ws" and "Coming from socket.io" have the rest.

/** Which function was given the options. */
export type Entry = 'createServer' | 'connect' | 'createDispatch' | 'createNode';

type Words = Readonly<Record<string, string>>;
/** Where an option stands: among those of a function, or in `deflate`. */
type Room = Entry | 'deflate';
type Tables = Readonly<Partial<Record<Room, Words>>>;

/** Another name, and the option of ours; a dot leads into an option. */
const RENAMED: Tables = {
  createServer: {
    maxPayload: 'maxMessage',
    maxHttpBufferSize: 'maxMessage',
    perMessageDeflate: 'deflate',
    verifyClient: 'authorize',
    allowRequest: 'authorize',
    handleProtocols: 'subprotocols',
    protocols: 'subprotocols',
    cors: 'origins',
    connectTimeout: 'handshakeTimeout',
    upgradeTimeout: 'handshakeTimeout',
    connectionStateRecovery: 'packets.resumeTtl',
  },
  connect: {
    maxPayload: 'maxMessage',
    perMessageDeflate: 'deflate',
    protocol: 'subprotocols',
    protocols: 'subprotocols',
    handshakeTimeout: 'timeout',
    followRedirects: 'redirects',
    maxRedirects: 'redirects',
    agent: 'proxy',
    extraHeaders: 'headers',
    auth: 'headers',
    reconnect: 'packets.reconnect',
    reconnection: 'packets.reconnect',
    reconnectionAttempts: 'packets.reconnect',
    reconnectionDelay: 'packets.reconnect',
    reconnectionDelayMax: 'packets.reconnect',
    maxRetries: 'packets.reconnect',
    ca: 'tls.ca',
    cert: 'tls.cert',
    key: 'tls.key',
    rejectUnauthorized: 'tls.rejectUnauthorized',
    servername: 'tls.servername',
  },
  deflate: {
    zlibDeflateOptions: 'level',
    serverNoContextTakeover: 'contextTakeover',
    clientNoContextTakeover: 'contextTakeover',
    serverMaxWindowBits: 'serverBits',
    clientMaxWindowBits: 'clientBits',
  },
};

const LISTEN = 'give it to listen()';
const ALWAYS = 'it is always so';

/** What is no option of ours at all, and where it went. */
const ELSEWHERE: Tables = {
  createServer: {
    port: LISTEN,
    host: LISTEN,
    backlog: LISTEN,
    tls: LISTEN,
    cert: 'give it to listen(), in tls',
    key: 'give it to listen(), in tls',
    ca: 'give it to listen(), in tls',
    server: 'call attach(server)',
    noServer: 'call upgrade(request, socket, head) for each upgrade',
    clientTracking: 'server.connections has them always',
    autoPong: ALWAYS,
    skipUTF8Validation: 'text is always checked',
    adapter: 'a Bus, in createDispatch, is what joins processes',
    transports: 'there is one only',
  },
  connect: {
    skipUTF8Validation: 'text is always checked',
    autoPong: ALWAYS,
    path: 'it belongs into the URL',
    query: 'it belongs into the URL',
    transports: 'there is one only',
  },
  deflate: {
    zlibInflateOptions: 'there is nothing to choose',
    concurrencyLimit: 'there is no need of it: a message is one synchronous step',
  },
};

/** What to say of an option that is not known; `path` leads to where it stands. */
export const familiar = (entry: Entry, path: readonly PropertyKey[], name: string): string | undefined => {
  const room: Room | undefined = path.length === 0 ? entry : path.at(-1) === 'deflate' ? 'deflate' : undefined;
  if (room === undefined) return undefined;
  const option = own(RENAMED[room], name);
  return option === undefined ? own(ELSEWHERE[room], name) : didYouMean([...path, option]);
};

export const didYouMean = (path: readonly PropertyKey[]): string => `did you mean ${path.map(String).join('.')}?`;

const own = (words: Words | undefined, name: string): string | undefined =>
  words !== undefined && Object.hasOwn(words, name) ? words[name] : undefined;

/** All that are known of one room, each with its option where it has one. */
export const foreignNames = (room: Room): (readonly [name: string, option: string | undefined])[] => [
  ...Object.entries(RENAMED[room] ?? {}),
  ...Object.keys(ELSEWHERE[room] ?? {}).map((name) => [name, undefined] as const),
];
