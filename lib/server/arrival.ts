// One socket from its acceptance to the answer: PROXY header, request head, judgement, authorisation; then a 101 and a connection, or an
// HTTP answer and the end. One absolute deadline, not moved by bytes. Bytes after the head wait, up to a cap, and are not looked at
// before the 101. Nothing is written to a socket that is gone.
import type { Socket } from 'node:net';
import { type Fault, type FaultCode, fault, textOf } from '../fault.js';
import { HeadParser, type RequestHead } from '../http/head.js';
import { type Response, writeResponse } from '../http/response.js';
import { now } from '../net/clock.js';
import { type Receiver, readInto } from '../net/reader.js';
import { arm, disarm, type Timed } from '../net/wheel.js';
import type { Admit, OpeningRequest, Refusal } from '../options/types.js';
import { judgeRequest, type PlainRequestHead, type UpgradeRequest, writeAccept } from '../websocket/opening-server.js';
import type { Seat } from './admission.js';
import { type PlainRequest, refusalOf, writeHint } from './answers.js';
import type { Familiar, Shared } from './familiar.js';
import { type Caller, type Door, infoOf, readAnswer, type Terms } from './opening.js';
import { ProxyParser } from './proxy-protocol.js';

/** Bytes a client may send before it has our answer. RFC 6455 section 4.1 has it wait, so any are unusual. */
const MOST_EARLY = 64 * 1024;
/** How long a refused peer may take to read its answer. */
const LINGER_MS = 2_000;

/** What the server does with what arrives. */
export interface Host {
  readonly door: Door;
  readonly familiar: Familiar;
  readonly closing: boolean;
  /** Seconds a refused client should wait. */
  retryAfter(): number;
  /** True when somebody will answer; otherwise the default answer goes out. */
  plain(request: PlainRequest): boolean;
  refused(code: FaultCode, status: number, address: string, detail: string | undefined, path: string | undefined): void;
  opened(socket: Socket, opening: Opened): void;
  /** A client left before it had its answer. */
  unanswered(): void;
}

/** Everything that was settled, and the bytes that came early. */
export interface Opened {
  readonly request: UpgradeRequest;
  /** What the request shares with others that came before. */
  readonly shared: Shared | undefined;
  readonly address: string;
  readonly terms: Terms;
  readonly data: unknown;
  readonly accept: Uint8Array;
  readonly head: Uint8Array;
  readonly seat: Seat;
}

/** What is known of a socket before its request is read. */
export interface Beginning extends Caller {
  readonly seat: Seat;
  /** When it was accepted. */
  readonly since: number;
  /** A PROXY header stands before the request. */
  readonly proxied: boolean;
  /** The arrival is over, one way or the other. */
  over(unanswered: boolean): void;
}

export class Arrival implements Timed, Receiver {
  slot = 0;
  place = -1;
  readonly #host: Host;
  readonly #socket: Socket;
  readonly #from: Beginning;
  readonly #seat: Seat;
  #caller: Caller;
  #parser: HeadParser | undefined;
  #shared: Shared | undefined;
  #proxy: ProxyParser | undefined;
  #deadline: number;
  #early: Uint8Array[] = [];
  #earlySize = 0;
  #asked: AbortController | undefined;
  #stage: 'reading' | 'asking' | 'answered' = 'reading';
  #address: string;
  #peer: string | undefined;

  constructor(host: Host, socket: Socket, from: Beginning) {
    const { rest } = host.door.options;
    this.#host = host;
    this.#socket = socket;
    this.#from = from;
    this.#seat = from.seat;
    this.#caller = from;
    this.#peer = from.peer;
    this.#address = from.peer ?? '';
    this.#proxy = from.proxied ? new ProxyParser() : undefined;
    this.#deadline = from.since + rest.handshakeTimeout;
  }

  get paused(): boolean {
    return false;
  }

  /** Reads the request from the socket; `head`: bytes that were read before. */
  start(head: Uint8Array): void {
    this.#listen();
    if (head.length > 0) this.read(head);
  }

  /** The request was read by somebody else, as http.Server does. */
  take(head: RequestHead, early: Uint8Array, wrong?: FaultCode): void {
    this.#listen();
    if (wrong !== undefined) return this.#refuse(fault(wrong), head.target.split('?', 1)[0]);
    if (early.length > 0) this.#keep(early);
    this.#judge(judgeRequest(head));
  }

  /** The server is closing: who has no answer yet gets this one. */
  turnAway(): void {
    this.#refuse(fault('WSD_UPGRADE_CLOSING'));
  }

  deadline(): number {
    return this.#deadline;
  }

  tick(): void {
    if (this.#stage === 'answered') {
      this.#deadline = Infinity;
      this.#socket.destroy();
    } else if (this.#stage === 'asking') this.#refuse(fault('WSD_UPGRADE_SLOW'));
    else this.#refuse(fault('WSD_HTTP_TIMEOUT'));
  }

  // ---- the socket

  #listen(): void {
    readInto(this.#socket, this, this.#host.door.options.settings.sharedReads);
    // Whoever handed it over may have paused it, to have time for that.
    if (this.#socket.isPaused()) this.#socket.resume();
    arm(this);
  }

  ended(): void {
    // The client left before it had its answer; nobody reads one.
    if (this.#stage !== 'answered') this.#socket.end();
  }

  closed(): void {
    disarm(this);
    const unanswered = this.#stage !== 'answered';
    this.#stage = 'answered';
    this.#asked?.abort(new Error('the client left'));
    this.#seat.leave();
    this.#from.over(unanswered);
  }

  read(chunk: Uint8Array): void {
    if (this.#stage === 'answered') return;
    if (this.#stage === 'asking') return this.#keep(chunk);
    let bytes = chunk;
    if (this.#proxy !== undefined) {
      const result = this.#proxy.receive(bytes);
      if (result.kind === 'more') return;
      if (result.kind === 'fault') return this.#drop(result);
      this.#proxy = undefined;
      if (result.source !== undefined) {
        this.#peer = result.source.address;
        this.#address = result.source.address;
      }
      if (result.secure) this.#caller = { peer: this.#caller.peer, local: () => this.#from.local(), secure: true };
      bytes = result.rest;
      if (bytes.length === 0) return;
    }
    const known = this.#parser === undefined ? this.#host.familiar.find(bytes) : undefined;
    if (known !== undefined) {
      this.#shared = known.shared;
      return this.#judge(known.request);
    }
    const whole = this.#parser === undefined;
    this.#parser ??= new HeadParser('request', this.#host.door.options.rest.head);
    const result = this.#parser.receive(bytes);
    if (result.kind === 'more') return;
    if (result.kind === 'fault') return this.#refuse(result);
    if (result.kind !== 'request') return;
    if (result.rest.length > 0) this.#keep(result.rest);
    const request = judgeRequest(result.head);
    if (whole && request.kind === 'upgrade' && result.rest.length === 0) this.#host.familiar.remember(bytes, request);
    this.#judge(request);
  }

  #keep(bytes: Uint8Array): void {
    this.#earlySize += bytes.length;
    if (this.#earlySize > MOST_EARLY) return this.#refuse(fault('WSD_HTTP_EARLY'));
    this.#early.push(Uint8Array.from(bytes));
  }

  // ---- the judgement

  #judge(request: UpgradeRequest | PlainRequestHead | Fault): void {
    if (this.#stage === 'answered') return;
    if (request.kind === 'fault') return this.#refuse(request);
    const { door } = this.#host;
    this.#address = door.addressOf(request, this.#peer);
    if (this.#seat.key === undefined && this.#address !== '') {
      const full = this.#seat.claim(this.#address, now());
      if (full !== undefined) return this.#refuse(full, request.path);
    }
    if (request.kind === 'plain') return this.#answerPlain(request);
    const wrong = this.#host.closing ? fault('WSD_UPGRADE_CLOSING') : door.judge(request, this.#caller);
    if (wrong !== undefined) return this.#refuse(wrong, request.path);
    const { authorize } = door.options.rest;
    if (authorize === undefined) return this.#accept(request, { data: undefined });
    const full = this.#seat.authorize();
    if (full !== undefined) return this.#refuse(full, request.path);
    void this.#ask(request, authorize);
  }

  async #ask(request: UpgradeRequest, authorize: NonNullable<Door['options']['rest']['authorize']>): Promise<void> {
    this.#stage = 'asking';
    this.#asked = new AbortController();
    this.#deadline = Math.min(now() + this.#host.door.options.rest.authorizeTimeout, this.#deadline);
    arm(this);
    let answer: Admit<unknown> | Refusal;
    try {
      answer = readAnswer(await authorize(this.#seen(request), this.#asked.signal));
    } catch (reason) {
      if (this.#stage === 'asking') this.#refuse(fault('WSD_UPGRADE_FAILED', textOf(reason)), request.path);
      return;
    }
    if (this.#stage !== 'asking') return; // too late, or the client left
    if ('status' in answer) this.#answerRefusal(answer, request.path);
    else this.#accept(request, answer);
  }

  #seen(request: UpgradeRequest): OpeningRequest {
    return {
      ...infoOf(request),
      host: request.head.fields.get('host') ?? '',
      remoteAddress: this.#address,
      secure: this.#caller.secure,
      subprotocols: request.protocols,
    };
  }

  // ---- the answers

  #accept(request: UpgradeRequest, admit: Admit<unknown>): void {
    let terms: Terms | Fault;
    let accept: Uint8Array;
    try {
      terms = this.#host.door.terms(request, () => this.#seen(request));
      if ('kind' in terms) return this.#refuse(terms, request.path);
      const fields = Object.entries(admit.headers ?? {});
      accept = writeAccept({ key: request.key, protocol: terms.protocol, extensions: terms.extensions, fields });
    } catch (reason) {
      return this.#refuse(fault('WSD_UPGRADE_FAILED', textOf(reason)), request.path);
    }
    this.#stage = 'answered';
    disarm(this);
    this.#from.over(false);
    this.#seat.settle();
    const head = this.#early.length === 0 ? NOTHING : Buffer.concat(this.#early);
    this.#host.opened(this.#socket, {
      request,
      shared: this.#shared,
      address: this.#address,
      terms,
      data: admit.data,
      accept,
      head,
      seat: this.#seat,
    });
  }

  #answerPlain(request: PlainRequestHead): void {
    const wrong = this.#host.door.judgePlain(request, this.#caller);
    if (wrong !== undefined) return this.#refuse(wrong, request.path);
    const host = request.head.fields.get('host') ?? '';
    const head = request.head.method === 'HEAD';
    // A handler may take its time: it has the deadline of the handshake.
    this.#stage = 'asking';
    const taken = this.#host.plain({
      method: request.head.method,
      path: request.path,
      query: request.query,
      fields: request.head.fields,
      host,
      remoteAddress: this.#address,
      secure: this.#caller.secure,
      respond: ({ status, headers, body }) => {
        if (this.#stage !== 'asking') return;
        this.#end(writeResponse({ status, fields: Object.entries(headers ?? {}), body, head }));
      },
    });
    if (taken) return;
    this.#stage = 'answered';
    this.#host.refused('WSD_UPGRADE_REQUIRED', 426, this.#address, undefined, request.path);
    this.#end(writeHint(`${this.#caller.secure ? 'wss' : 'ws'}://${host}${request.path}`, head));
  }

  #answerRefusal(answer: Refusal, path: string): void {
    const response: Response = {
      status: answer.status,
      fields: Object.entries(answer.headers ?? {}),
      body: answer.body,
    };
    let bytes: Uint8Array;
    try {
      bytes = writeResponse(response);
    } catch (reason) {
      return this.#refuse(fault('WSD_UPGRADE_FAILED', textOf(reason)), path);
    }
    this.#stage = 'answered';
    this.#host.refused('WSD_UPGRADE_REFUSED', answer.status, this.#address, undefined, path);
    this.#end(bytes);
  }

  #refuse(what: Fault, path?: string): void {
    if (this.#stage === 'answered') return;
    const bytes = refusalOf(what.code, () => this.#host.retryAfter());
    this.#stage = 'answered'; // whoever is told may close the server, which turns away who has no answer
    this.#host.refused(what.code, bytes.status, this.#address, what.detail, path);
    this.#asked?.abort(new Error(what.code));
    this.#end(bytes.bytes);
  }

  /** A broken PROXY header is no HTTP request: no answer, just the end. */
  #drop(what: Fault): void {
    this.#stage = 'answered';
    this.#host.refused(what.code, 400, this.#address, what.detail, undefined);
    this.#socket.destroy();
  }

  #end(bytes: Uint8Array): void {
    this.#stage = 'answered';
    this.#early = [];
    this.#seat.settle();
    this.#socket.end(bytes);
    // What the peer still sends is read and thrown away, for a while: unread bytes would turn the end into a reset.
    this.#socket.resume();
    this.#deadline = now() + LINGER_MS;
    disarm(this);
    arm(this);
  }
}

const NOTHING = new Uint8Array(0);
