// Options and a URL → an open link: dials, asks, judges the answer, follows redirects where that is allowed, and joins socket, driver, link
// and connection as the server does. RFC 6455 sections 4.1 and 4.2.2; RFC 9110 section 15.4. What users see is connect.ts and standard.ts.
import type { Socket } from 'node:net';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { random32, randomKey } from '../crypto/entropy.js';
import { Deflate } from '../deflate/codec.js';
import { type DeflateAgreement, judgeAnswer as judgeExtensions, writeOffer } from '../deflate/parameters.js';
import { type Fault, WsdError } from '../fault.js';
import type { ResponseHead } from '../http/head.js';
import { Driver } from '../net/driver.js';
import { warn } from '../net/warn.js';
import type { ClientRest, Resolved } from '../options/types.js';
import { Connection } from '../websocket/connection.js';
import { Link } from '../websocket/link.js';
import { judgeAnswer, writeRequest } from '../websocket/opening-client.js';
import { Attempt } from './attempt.js';
import { type Destination, isSameOrigin, originOf, parseDestination, resolveLocation } from './destination.js';
import { dial, secure } from './dial.js';
import { exchange } from './exchange.js';
import { type HttpProxy, parseProxy, tunnel } from './proxy.js';
import { readable } from './readable.js';
import { readRefusal } from './refusal.js';

export interface Opened {
  readonly connection: Connection<undefined>;
  readonly link: Link;
}

/** What goes to one origin only. */
interface Own {
  readonly fields: ReadonlyArray<readonly [name: string, value: string]>;
  readonly tls: TlsOptions;
}

type Options = Resolved<ClientRest>;
type Answered =
  | { readonly kind: 'open'; readonly opened: Opened }
  | { readonly kind: 'moved'; readonly to: Destination };

/** Rejects with a WsdError, or with a TypeError for what our own caller got wrong. */
export const open = async (url: string | URL, options: Options): Promise<Opened> => {
  const { rest } = options;
  let at = parseDestination(url);
  if ('kind' in at) throw errorOf(at);
  const proxy = rest.proxy === undefined ? undefined : parseProxy(rest.proxy);
  if (proxy !== undefined && at.socketPath !== undefined)
    throw new TypeError('connect: proxy: a Unix socket is not reached through one');
  let own: Own = { fields: pairsOf(rest.headers), tls: rest.tls ?? {} };
  const attempt = new Attempt(rest.timeout, rest.signal);
  try {
    for (let left = rest.redirects; ; left--) {
      const answered = await ask(attempt, at, own, proxy, options, left);
      if (answered.kind === 'open') return answered.opened;
      attempt.drop();
      if (!isSameOrigin(at, answered.to)) own = withoutCredentials(own);
      at = answered.to;
    }
  } finally {
    attempt.finish();
  }
};

/** One request to one server. */
const ask = async (
  attempt: Attempt,
  at: Destination,
  own: Own,
  proxy: HttpProxy | undefined,
  options: Options,
  redirects: number,
): Promise<Answered> => {
  const { rest, deflate } = options;
  const key = randomKey();
  // Before anything is dialled: a header that must not be sent is our caller's mistake.
  const request = writeRequest({
    uri: at.uri,
    key,
    protocols: rest.subprotocols,
    extensions: deflate === undefined ? undefined : writeOffer(deflate.terms),
    origin: rest.origin,
    fields: own.fields,
  });
  const socket = await reach(attempt, at, own.tls, proxy, options);
  const head = await exchange(attempt, socket, request, rest.head);
  const answer = judgeAnswer(head, { key, protocols: rest.subprotocols });
  if (answer.kind === 'fault') throw errorOf(answer);
  if (answer.kind === 'refused') {
    const detail = await readRefusal(attempt, socket, head);
    throw new WsdError('WSD_DIAL_STATUS', detail, { status: answer.status });
  }
  if (answer.kind === 'redirect') return { kind: 'moved', to: follow(answer, at, redirects) };
  const agreement = judgeExtensions(answer.extensions, deflate?.terms);
  if (agreement !== undefined && 'kind' in agreement) throw errorOf(agreement);
  attempt.release();
  return { kind: 'open', opened: assemble(socket, at, head, answer.protocol, agreement, options) };
};

const reach = async (
  attempt: Attempt,
  { uri, socketPath }: Destination,
  tls: TlsOptions,
  proxy: HttpProxy | undefined,
  { rest }: Options,
): Promise<Socket> => {
  const raw =
    proxy !== undefined && socketPath === undefined
      ? await tunnel(attempt, proxy, uri, rest.head, tls)
      : await dial(attempt, socketPath === undefined ? { host: uri.host, port: uri.port } : { path: socketPath });
  return uri.secure ? secure(attempt, raw, uri.host, tls) : raw;
};

/** Where a redirect leads, when it may be followed. */
const follow = (
  { status, location }: { readonly status: number; readonly location: string },
  from: Destination,
  left: number,
): Destination => {
  const to = resolveLocation(location, from);
  const refuse = (why: string): never => {
    throw new WsdError('WSD_DIAL_REDIRECT', readable(`${status} ${why}`, 300), { status });
  };
  if ('kind' in to) return refuse(`with a Location that cannot be followed: ${to.detail ?? ''}`);
  if (left === 0) return refuse(`to ${originOf(to)}`);
  // What was asked for over TLS is not asked for in the clear, whoever says so.
  if (from.uri.secure && !to.uri.secure) return refuse(`to ${originOf(to)}, from wss to ws`);
  return to;
};

const assemble = (
  socket: Socket,
  { uri }: Destination,
  { fields }: ResponseHead,
  subprotocol: string,
  agreement: DeflateAgreement | undefined,
  { settings, deflate, rest }: Options,
): Opened => {
  const codec =
    deflate === undefined || agreement === undefined ? undefined : new Deflate('client', agreement, deflate.settings);
  const driver = new Driver(socket);
  const link = new Link('client', settings, codec, driver, random32);
  const mark = uri.resource.indexOf('?');
  const connection = new Connection<undefined>(
    link,
    {
      subprotocol,
      extensions: fields.all('sec-websocket-extensions').join(', '),
      remoteAddress: socket.remoteAddress ?? '',
      request: {
        path: mark < 0 ? uri.resource : uri.resource.slice(0, mark),
        query: mark < 0 ? '' : uri.resource.slice(mark + 1),
        origin: rest.origin,
        fields,
      },
      unheard: (_, error) => warn(error),
    },
    undefined,
  );
  driver.start(link, NOTHING);
  // The socket was paused since the head was read, and what came behind the head waits in it. It flows again in a later turn, after
  // whoever awaits the connection has it in hand: a listener that is added then hears 'open', and whatever is first after it.
  socket.once('resume', () => connection.opened());
  socket.resume();
  return { connection, link };
};

/** TLS options that say who the caller is, or who that one server must be. */
const FOR_ONE_ORIGIN: ReadonlySet<string> = new Set([
  ...['cert', 'key', 'pfx', 'passphrase', 'secureContext', 'session', 'privateKeyEngine', 'privateKeyIdentifier'],
  ...['clientCertEngine', 'pskCallback', 'servername', 'checkServerIdentity'],
]);

/** What may go to another origin. */
const withoutCredentials = ({ fields, tls }: Own): Own => ({
  fields: fields.filter(([name]) => !isCredential(name.toLowerCase())),
  tls: Object.fromEntries(Object.entries(tls).filter(([name]) => !FOR_ONE_ORIGIN.has(name))),
});

const isCredential = (name: string): boolean =>
  name === 'authorization' || name === 'cookie' || name.startsWith('proxy-');

const pairsOf = (headers: ClientRest['headers']): Own['fields'] =>
  Array.isArray(headers) ? headers : Object.entries(headers);

const errorOf = ({ code, detail }: Fault): WsdError =>
  new WsdError(code, detail === undefined ? undefined : readable(detail, 300));

const NOTHING = new Uint8Array(0);
