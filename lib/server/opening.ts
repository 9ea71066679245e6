// An upgrade request that is well-formed → what the server answers: who asks (address), may it (path, host, origin, authorize), on which
// terms (subprotocol, deflate). Knows the options and no socket; the only wait is for `authorize`, which gets a deadline.
// RFC 6455 sections 4.2.2, 10.1 and 10.2.
import { agreeOffer, type DeflateAgreement } from '../deflate/parameters.js';
import { type Fault, fault } from '../fault.js';
import { HeadParser } from '../http/head.js';
import type { Admit, OpeningRequest, Refusal, Resolved, ServerRest } from '../options/types.js';
import type { HandshakeInfo } from '../websocket/connection.js';
import { judgeRequest, type PlainRequestHead, type UpgradeRequest } from '../websocket/opening-server.js';
import { clientAddress, parseTrusted, type Trusted } from './address.js';
import { layersOf } from './layers.js';
import {
  couldBePage,
  defaultHostRule,
  type HostRule,
  judgeHost,
  judgeOrigin,
  type OriginRule,
  parseHostRule,
  parseOriginRule,
} from './origin.js';
import { judgePath, type PathRule, parsePaths } from './paths.js';

/** What the socket says about the one who asks. */
export interface Caller {
  readonly peer: string | undefined;
  /** Our own address of the socket: asked for only where it matters. */
  local(): string | undefined;
  readonly secure: boolean;
}

export interface Terms {
  readonly protocol: string;
  readonly extensions: string;
  readonly agreement: DeflateAgreement | undefined;
}

/** Options of one server, parsed once. */
export class Door {
  readonly options: Resolved<ServerRest>;
  readonly trusted: Trusted;
  readonly trustsNobody: boolean;
  readonly #paths: PathRule;
  readonly #origins: OriginRule;
  readonly #hosts: HostRule | undefined;
  readonly #layers: readonly string[];

  constructor(options: Resolved<ServerRest>) {
    this.options = options;
    const { rest } = options;
    this.trusted = parseTrusted(rest.trustedProxies);
    this.trustsNobody = rest.trustedProxies.length === 0;
    this.#paths = parsePaths(rest.path);
    this.#origins = parseOriginRule(rest.origins);
    this.#layers = layersOf(rest);
    this.#hosts = rest.hosts === undefined ? undefined : parseHostRule(rest.hosts);
  }

  /** The client's address as far as the trusted proxies can be believed. */
  addressOf(request: UpgradeRequest | PlainRequestHead, peer: string | undefined): string {
    // The system writes IPv4 as everybody does; nothing to parse where no proxy is believed.
    if (this.trustsNobody && peer !== undefined && !peer.includes(':')) return peer;
    const header = this.options.rest.forwardingHeader;
    return clientAddress(peer, this.trusted, header, request.head.fields.all(header)).address ?? '';
  }

  /** Path, host and origin, in this order: what does not exist needs no permission. */
  judge(request: UpgradeRequest, caller: Caller): Fault | undefined {
    const wrong =
      judgePath(request.path, this.#paths) ??
      this.#judgeHost(request, caller, true) ??
      judgeOrigin({
        origin: request.origin,
        originCount: request.head.fields.count('origin'),
        host: request.head.fields.get('host') ?? '',
        secure: caller.secure,
        rule: this.#origins,
      });
    return wrong === undefined ? undefined : fault(wrong);
  }

  /** A plain request answers to the same host rule. */
  judgePlain(request: PlainRequestHead, caller: Caller): Fault | undefined {
    const wrong = this.#judgeHost(request, caller, false);
    return wrong === undefined ? undefined : fault(wrong);
  }

  /** Section 4.2.2 item 4: at most one subprotocol, and only one that was offered; extensions only when offered. */
  terms(request: UpgradeRequest, seen: () => OpeningRequest): Terms | Fault {
    const { subprotocols } = this.options.rest;
    // lib/packet/PROTOCOL.md section 1: sealed packets do not compress, so nothing is agreed beside them. Nor beside packages, which bring
    // secrets of one and texts of another into one message.
    const layer = request.protocols.find((name) => this.#layers.includes(name));
    if (layer !== undefined) return { protocol: layer, extensions: '', agreement: undefined };
    const protocol =
      typeof subprotocols === 'function'
        ? (subprotocols(request.protocols, seen()) ?? '')
        : (subprotocols.find((name) => request.protocols.includes(name)) ?? '');
    if (protocol !== '' && !request.protocols.includes(protocol)) {
      return fault('WSD_UPGRADE_FAILED', `the subprotocol ${JSON.stringify(protocol)} was not offered`);
    }
    const { deflate } = this.options;
    const agreed = deflate === undefined ? undefined : agreeOffer(request.offers, deflate.terms);
    return { protocol, extensions: agreed?.answer ?? '', agreement: agreed?.agreement };
  }

  #judgeHost(
    request: UpgradeRequest | PlainRequestHead,
    caller: Caller,
    upgrade: boolean,
  ): ReturnType<typeof judgeHost> {
    const { fields } = request.head;
    const rule = this.#hosts ?? defaultHostRule(caller.local());
    const forwarded = fields.has('forwarded') || fields.has('x-forwarded-for') || fields.has('via');
    return judgeHost(fields.get('host') ?? '', rule, couldBePage({ upgrade, origin: fields.get('origin'), forwarded }));
  }
}

export const infoOf = (request: UpgradeRequest): HandshakeInfo => ({
  path: request.path,
  query: request.query,
  origin: request.origin,
  fields: request.head.fields,
});

/** The same from the text of a head that was judged before. */
export const readInfo = (text: string): HandshakeInfo => {
  const limits = { line: text.length, total: text.length, fields: text.length };
  const read = new HeadParser('request', limits).receive(Buffer.from(text, 'latin1'));
  const request = read.kind === 'request' ? judgeRequest(read.head) : read;
  if (request.kind !== 'upgrade') throw new TypeError('this head opened no connection');
  return infoOf(request);
};

/** What `authorize` returned, read once and here: to look at it may fail like the function itself. */
export const readAnswer = (answer: unknown): Admit<unknown> | Refusal => {
  if (typeof answer === 'object' && answer !== null) {
    const { status, headers } = answer as Partial<Refusal>;
    const copied = { headers: { ...headers } };
    if (typeof status === 'number') return { status, ...copied, body: (answer as Refusal).body };
    if ('data' in answer) return { data: answer.data, ...copied };
  }
  throw new TypeError('authorize() must return {data} or {status}');
};
