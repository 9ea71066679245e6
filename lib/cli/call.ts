// `wsd call`: one package to a dispatch, or through it to a node, and the body of the answer on stdout. The credential comes from a file; the body from
// the command line, a file or stdin, since it may be nobody else's business.
import {
  type Answer,
  type AnyScope,
  type ClientPacketOptions,
  createNode,
  type Node,
  type NodeOptions,
  PackageError,
  PING,
  parseCredential,
  WsdError,
} from '../index.js';
import { type Body, findScope, readBody } from './call-scope.js';
import { type Command, CommandError, EXIT, type Io, signalExit, UsageError } from './command.js';
import { completeUrl, withoutQuery } from './connect-options.js';
import { CONFIG_FLAG, DATA_FLAG, readConfigIfAny } from './data-flags.js';
import { dialReason, trustHint } from './dial-words.js';
import { type Flag, type Flags, longFlags, parseFlags, writeFlags } from './flags.js';
import { CLIENT_PACKET_FLAGS, readCommon, refuseWithoutPackets } from './packet-flags.js';
import { readFileOrSay } from './read-file.js';
import { styleFor } from './style.js';
import { escapeControl, milliseconds } from './terminal.js';

const SESSION_FLAGS = ['pin', 'anchor', 'name', 'anonymous'];
const PACKETS: readonly Flag[] = [
  { name: 'packets', help: 'through a packet session: what is sent is sealed, from here to the dispatch' },
  ...CLIENT_PACKET_FLAGS.filter(({ name }) => SESSION_FLAGS.includes(name)),
];

const FLAGS: readonly Flag[] = [
  { name: 'credential', short: 'c', value: 'FILE', help: 'who we are: a file that wsd token made' },
  { name: 'body', short: 'b', value: 'JSON', help: 'the body: a JSON object, @FILE, or - for stdin (default none)' },
  { name: 'destination', short: 'd', value: 'NODE', help: 'the node that shall have it (default the dispatch)' },
  { name: 'user', value: 'ID', help: 'on behalf of this user; a front always says one' },
  { name: 'channel', value: 'ID', help: 'in this channel; goes with --user' },
  { name: 'timeout', value: 'MS', help: 'how long to wait, connecting included (default 10s; for user data 30s)' },
  CONFIG_FLAG,
  DATA_FLAG,
  { name: 'ca', value: 'FILE', help: 'trust this CA for wss, instead of those of the system' },
  { name: 'insecure', help: 'trust any certificate of wss' },
  ...PACKETS,
  { name: 'json', help: 'one JSON object: scope, from, body and footer of the answer, or the error' },
];

const USAGE = 'wsd call [URL] SCOPE --credential FILE [options]';

const HELP = `usage: ${USAGE}

Sends one package and prints the body of its answer. SCOPE is a number, or the name of a scope of
the protocol or of the configuration; wsd scopes shows them. Without URL it goes where the
credential says. A scope that nobody answers is sent and not waited for. A node has one connection:
calling by the credential of a service that is connected takes its place, so give wsd call one of
its own.

${writeFlags(FLAGS)}

times are in ms, or 30s, or 2m

examples:
  wsd call PING --credential svc-a.json
  wsd call ws://127.0.0.1:8080 1000 -c svc-a.json --destination svc-b --body '{"text":"hello"}'
  wsd call UD_REQ_OWNERSHIP -c svc-a.json --body '{"nodeID":"svc-a","user":"175928847299117063"}'
  wsd call 1000 -c gate-1.json --user 1 --channel 1 -d svc-b --body @body.json --json

exit code: 0 answered, 1 refused or no answer, 2 usage
`;

const DEFAULT_TIMEOUT = 10_000;
const OWNERSHIP_TIMEOUT = 30_000;

interface Call {
  readonly scope: AnyScope;
  readonly body: Body;
  readonly options: {
    readonly destination?: string | undefined;
    readonly user?: string | undefined;
    readonly channel?: string | undefined;
    readonly timeout: number;
    readonly signal: AbortSignal;
    readonly footerInclude: readonly string[];
  };
}

const readCall = async (word: string, declared: readonly AnyScope[], flags: Flags, io: Io): Promise<Call> => {
  const body = await readBody(flags.text('body'), io);
  const scope = findScope(word, declared, body !== undefined);
  const [user, channel] = [flags.text('user'), flags.text('channel')];
  if ((user === undefined) !== (channel === undefined)) throw new UsageError('--user and --channel go together');
  const timeout = flags.duration('timeout') ?? (scope.reply?.scope === 101 ? OWNERSHIP_TIMEOUT : DEFAULT_TIMEOUT);
  if (timeout < 1 || timeout > 300_000) throw new UsageError('--timeout is at least 1 ms and at most 5 minutes');
  const destination = flags.text('destination');
  const footerInclude = ['dt', 'op', 'delay'];
  return { scope, body, options: { destination, user, channel, timeout, signal: io.signal, footerInclude } };
};

const readNodeOptions = async (url: string | undefined, flags: Flags): Promise<NodeOptions> => {
  const file = flags.text('credential');
  if (file === undefined) throw new UsageError('say who we are: --credential FILE, which wsd token makes');
  const credential = (await readFileOrSay(file)).toString('utf8');
  const ca = flags.text('ca');
  const tls = {
    ...(ca === undefined ? {} : { ca: await readFileOrSay(ca) }),
    ...(flags.has('insecure') ? { rejectUnauthorized: false } : {}),
  };
  return {
    credential,
    reconnect: false,
    ...(url === undefined ? {} : { url: completeUrl(url) }),
    ...(Object.keys(tls).length === 0 ? {} : { connection: { tls } }),
    ...(flags.has('packets') ? { packets: await readSession(flags) } : {}),
  };
};

const readSession = async (flags: Flags): Promise<ClientPacketOptions> => {
  const { pins, anchors } = await readCommon(flags);
  const anonymous = flags.has('anonymous');
  if (pins === undefined && anchors === undefined && !anonymous) {
    throw new UsageError('say whom to trust with --packets: --pin, --anchor or --anonymous');
  }
  const name = flags.text('name');
  return {
    ...(pins === undefined ? {} : { pins }),
    ...(anchors === undefined ? {} : { anchors }),
    ...(name === undefined ? {} : { name }),
    ...(anonymous ? { anonymous } : {}),
  };
};

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const flags = parseFlags(FLAGS, args);
  refuseWithoutPackets(PACKETS, flags);
  const words = flags.positionals;
  const word = words.at(-1);
  if (word === undefined || words.length > 2) throw new UsageError('wsd call takes a URL and a scope');
  const url = words.length === 2 ? words[0] : undefined;
  const { scopes } = await readConfigIfAny(flags, io.env);
  const options = await readNodeOptions(url, flags);
  const call = await readCall(word, scopes, flags, io);
  const until = performance.now() + call.options.timeout;
  let node: Node | undefined;
  try {
    node = await createNode({ ...options, scopes, timeout: call.options.timeout, signal: io.signal });
    const left = Math.max(1, Math.ceil(until - performance.now()));
    const since = performance.now();
    const answer = await ask(node, { ...call, options: { ...call.options, timeout: left } });
    if (answer !== undefined) tellAnswer(answer, call.scope, performance.now() - since, flags, io);
    return EXIT.ok;
  } catch (error) {
    return tellFailure(error, { node, url, credential: String(options.credential) }, flags, io);
  } finally {
    await node?.close();
  }
};

/** undefined: nobody answers that scope. */
const ask = async (node: Node, { scope, body, options }: Call): Promise<Answer<unknown> | undefined> => {
  if (scope.reply !== undefined) return node.ask(scope, body, options);
  // What comes back before the answer to the PING is about it: packages keep their order.
  let refused: PackageError | undefined;
  const { signal, footerInclude: _, ...rest } = options;
  const jti = { value: '' };
  node.on('refused', (error, re) => {
    if (re === jti.value) refused = error;
  });
  jti.value = node.send(scope, body, rest);
  await node.call(PING, undefined, { timeout: rest.timeout, signal });
  if (refused !== undefined) throw refused;
  return undefined;
};

const tellAnswer = (
  { body, footer, from }: Answer<unknown>,
  { reply }: AnyScope,
  took: number,
  flags: Flags,
  io: Io,
): void => {
  const value = flags.has('json') ? { scope: reply?.scope, from, body, footer } : body;
  if (value === undefined) {
    // Nothing is what stdout gets: it has no body.
    const text = `answered by ${from} after ${milliseconds(took)}`;
    io.stderr.write(`${styleFor(io.stderr, io.env).dim(escapeControl(text))}\n`);
    return;
  }
  // A terminal obeys nothing of what a node sends; a program gets JSON that is the same to it.
  const text = flags.has('json') ? JSON.stringify(value) : JSON.stringify(value, undefined, 2);
  io.stdout.write(`${asciiJson(text)}\n`);
};

/** DEL, C1 and what turns the direction of text round, as escapes. C0 is escaped by JSON itself. */
const asciiJson = (text: string): string =>
  text.replace(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

interface Dialled {
  /** Absent: it was not reached. */
  readonly node: Node | undefined;
  /** Absent: the one of the credential. */
  readonly url: string | undefined;
  readonly credential: string;
}

const notReached = (
  error: WsdError | PackageError,
  { url, credential }: Dialled,
  flags: Flags,
): { readonly text: string; readonly hint: string | undefined } => {
  const [reason, hint] = error instanceof WsdError ? [dialReason(error), trustHint(error)] : [error.message, undefined];
  if (url !== undefined) return { text: `cannot connect to ${withoutQuery(url)}: ${reason}`, hint };
  const own = parseCredential(credential);
  return {
    text: `cannot connect to ${withoutQuery(own.url)}, where ${flags.text('credential')} says the dispatch is: ${reason}`,
    hint:
      error.code === 'WSD_DIAL_CONNECT'
        ? `if it is elsewhere: wsd call URL ${flags.positionals[0]} …, or a new credential: wsd token --node ${own.node} --rotate --url URL`
        : hint,
  };
};

const tellFailure = (error: unknown, dialled: Dialled, flags: Flags, io: Io): number => {
  if (io.signal.aborted) return signalExit(io.signal);
  // A body that its scope does not take, a URL that is none, a user that is no Snowflake.
  if (error instanceof RangeError) throw new UsageError(error.message);
  if (error instanceof TypeError) {
    throw error.message.startsWith('the credential')
      ? new CommandError(`${flags.text('credential')}: ${error.message}`)
      : new UsageError(error.message);
  }
  if (error instanceof WsdError && error.code === 'WSD_DIAL_URL') throw new UsageError(error.message);
  if (!(error instanceof PackageError) && !(error instanceof WsdError)) throw error;
  const issues = error instanceof PackageError ? error.issues : [];
  if (flags.has('json')) {
    const { code, message } = error;
    const more =
      error instanceof PackageError ? { scope: error.scope, issues, delay: error.delay, from: error.from } : {};
    io.stdout.write(`${asciiJson(JSON.stringify({ error: { code, message, ...more } }))}\n`);
    return EXIT.failure;
  }
  const style = styleFor(io.stderr, io.env);
  const { text, hint } =
    dialled.node === undefined ? notReached(error, dialled, flags) : { text: error.message, hint: undefined };
  io.stderr.write(`${style.red('wsd:')} ${escapeControl(text)}\n`);
  if (hint !== undefined) io.stderr.write(`${style.dim(escapeControl(hint))}\n`);
  if (error instanceof PackageError && error.cause instanceof Error && dialled.node === undefined) {
    io.stderr.write(`${style.dim(`  ${escapeControl(error.cause.message)}`)}\n`);
  }
  for (const { path, message } of issues) {
    io.stderr.write(`${style.dim(`  ${escapeControl(path.join('.'))} ${escapeControl(message)}`)}\n`);
  }
  return EXIT.failure;
};

export const call: Command = {
  name: 'call',
  summary: 'send a package and print the answer',
  usage: USAGE,
  help: HELP,
  flags: longFlags(FLAGS),
  run,
};
