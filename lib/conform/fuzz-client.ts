// The fuzzing server: any client connects, is told how many cases there are, plays one per connection and asks for its report. The
// control paths are those of the suite whose cases these are, so a driver written for it works here unchanged.
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { acceptText, admit, readVisit, refuseText, type Visit } from './admit.js';
import type { Case, CaseResult } from './case.js';
import { loadCases, quickened } from './catalogue.js';
import { OPENING_MS } from './dial.js';
import { clock, type Drivable, drive } from './drive.js';
import { gradeUnopened } from './grade.js';
import { HeadReader } from './head.js';
import { Notice } from './notice.js';
import { type AnswerOpening, answerOpenings, runClientOpening } from './opening-client.js';
import { byId, type Report } from './result.js';
import { CaseRun } from './run.js';
import { isSelected } from './select.js';

export interface ListenForClientsOptions {
  /** Default 0: any free port. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  readonly cases?: readonly string[];
  readonly quick?: boolean;
  /** How long a client may take to give up on a server that never answers, in ms. Default 12,000. */
  readonly patience?: number;
  readonly tls?: TlsOptions;
  readonly signal?: AbortSignal;
  readonly onResult?: (agent: string, result: CaseResult, done: number, total: number) => void;
  /** A client asked for its report. */
  readonly onReport?: (report: Report) => void;
}

export interface ClientListener {
  readonly url: string;
  readonly port: number;
  /** How many cases a client is told of. */
  readonly count: number;
  /** What is known of an agent so far; all agents when none is named. */
  report(agent?: string): Report;
  /** Settles when the listener has ended: by close(), by the signal, or because a client asked for it. */
  readonly closed: Promise<void>;
  close(): Promise<void>;
}

type Entry = { readonly kind: 'case'; readonly test: Case } | { readonly kind: 'opening'; readonly row: AnswerOpening };

const idOf = (entry: Entry): string => (entry.kind === 'case' ? entry.test.id : entry.row.id);
const titleOf = (entry: Entry): string =>
  entry.kind === 'case' ? `${entry.test.title} ${entry.test.script.join('; ')}` : entry.row.title;

interface AgentState {
  readonly startedAt: string;
  readonly started: number;
  readonly results: Map<string, CaseResult>;
}

class FuzzingServer {
  readonly #entries: readonly Entry[];
  readonly #options: ListenForClientsOptions;
  readonly #agents = new Map<string, AgentState>();
  readonly #sockets = new Set<Socket>();
  readonly server: Server;
  readonly closed: Promise<void>;

  constructor(options: ListenForClientsOptions) {
    this.#options = options;
    const { cases = [], quick = false } = options;
    const tests = loadCases().filter((c) => isSelected(cases, c.id));
    this.#entries = [
      ...tests.map((c): Entry => ({ kind: 'case', test: quick ? quickened(c) : c })),
      ...answerOpenings()
        .filter((o) => isSelected(cases, o.id))
        .map((row): Entry => ({ kind: 'opening', row })),
    ];
    const accept = (socket: Socket): void => this.#accept(socket);
    this.server = options.tls === undefined ? createServer(accept) : createTlsServer(options.tls, accept);
    this.closed = new Promise((resolve) => this.server.once('close', resolve));
    options.signal?.addEventListener('abort', () => this.close(), { once: true });
  }

  get count(): number {
    return this.#entries.length;
  }

  close(): void {
    this.server.close();
    // A visitor that is just being told goodbye gets a moment for it.
    setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, 100).unref();
  }

  report(agent: string | undefined): Report {
    const states = [...this.#agents]
      .filter(([name]) => agent === undefined || name === agent)
      .map(([, state]) => state);
    const results = states.flatMap((state) => [...state.results.values()]).sort(byId);
    const first = states[0];
    return {
      tool: 'wsd conform',
      mode: 'client',
      target: agent ?? [...this.#agents.keys()].join(', '),
      software: '',
      quick: this.#options.quick ?? false,
      startedAt: first?.startedAt ?? new Date().toISOString(),
      durationMs: first === undefined ? 0 : clock() - first.started,
      results: results.filter((r) => r.section !== 'H'),
      opening: results.filter((r) => r.section === 'H'),
    };
  }

  #agent(name: string): AgentState {
    let state = this.#agents.get(name);
    if (state === undefined) {
      state = { startedAt: new Date().toISOString(), started: clock(), results: new Map() };
      this.#agents.set(name, state);
    }
    return state;
  }

  #done(agent: string, result: CaseResult): void {
    if (this.#options.signal?.aborted === true) return;
    const { results } = this.#agent(agent);
    results.set(result.id, result);
    this.#options.onResult?.(agent, result, results.size, this.#entries.length);
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => undefined);
    const reader = new HeadReader();
    const timer = setTimeout(() => socket.destroy(), OPENING_MS);
    const read = (chunk: Buffer): void => {
      const result = reader.receive(chunk);
      if (result.kind === 'more') return;
      clearTimeout(timer);
      socket.off('data', read);
      socket.pause();
      if (result.kind === 'too-large') socket.destroy();
      else {
        const visit = readVisit(result.head, (this.server.address() as AddressInfo).port);
        if (typeof visit === 'string') socket.end(refuseText('400 Bad Request', visit));
        else void this.#visit(visit, socket, result.rest);
      }
    };
    socket.on('data', read);
  }

  async #visit(visit: Visit, socket: Socket, rest: Uint8Array): Promise<void> {
    const agent = visit.query.get('agent') ?? 'unnamed';
    switch (visit.path) {
      case '/runCase':
        return this.#runCase(visit, agent, socket, rest);
      case '/getCaseCount':
        return this.#tell(visit, socket, rest, JSON.stringify(this.#entries.length));
      case '/getCaseInfo': {
        const entry = this.#find(visit.query);
        const info = entry === undefined ? undefined : { id: idOf(entry), description: titleOf(entry) };
        return this.#tell(visit, socket, rest, info === undefined ? undefined : JSON.stringify(info));
      }
      case '/getCaseStatus': {
        const entry = this.#find(visit.query);
        const result = entry === undefined ? undefined : this.#agents.get(agent)?.results.get(idOf(entry));
        const status = result === undefined ? undefined : JSON.stringify({ behavior: result.behavior });
        return this.#tell(visit, socket, rest, status);
      }
      case '/updateReports':
        await this.#tell(visit, socket, rest, undefined);
        this.#options.onReport?.(this.report(agent));
        if (visit.query.get('shutdownOnComplete') === 'true') this.close();
        return;
      case '/stopServer':
        await this.#tell(visit, socket, rest, undefined);
        return this.close();
      default:
        socket.end(refuseText('404 Not Found', 'No such control path'));
    }
  }

  /** By its number among the chosen cases, or by its name. */
  #find(query: URLSearchParams): Entry | undefined {
    const name = query.get('casetuple');
    if (name !== null) return this.#entries.find((entry) => idOf(entry) === name);
    return this.#entries[Number(query.get('case')) - 1];
  }

  #tell(visit: Visit, socket: Socket, rest: Uint8Array, text: string | undefined): Promise<void> {
    return this.#play(socket, acceptText(visit.key, undefined), rest, new Notice(text));
  }

  #play(socket: Socket, answer: string, rest: Uint8Array, run: Drivable): Promise<void> {
    socket.write(answer, 'latin1');
    return drive(socket, run, rest, this.#options.signal);
  }

  async #runCase(visit: Visit, agent: string, socket: Socket, rest: Uint8Array): Promise<void> {
    const entry = this.#find(visit.query);
    if (entry === undefined) {
      socket.end(refuseText('404 Not Found', 'No such case'));
      return;
    }
    if (entry.kind === 'opening') {
      const { patience = 12_000 } = this.#options;
      this.#done(agent, await runClientOpening(entry.row, socket, visit.key, patience));
      return;
    }
    const { test } = entry;
    const admission = admit(visit, test.plan.kind === 'deflate' ? test.plan.accept : undefined);
    if (typeof admission === 'string') {
      socket.end(refuseText('400 Bad Request', admission));
      this.#done(agent, gradeUnopened(test, admission, 0));
      return;
    }
    const run = new CaseRun(test, 'server', () => 0, admission.terms);
    await this.#play(socket, admission.text, rest, run);
    this.#done(agent, run.result(clock()));
  }
}

export const listenForClients = async (options: ListenForClientsOptions = {}): Promise<ClientListener> => {
  const { port = 0, host = '127.0.0.1', tls } = options;
  const fuzzer = new FuzzingServer(options);
  await new Promise<void>((resolve, reject) => {
    fuzzer.server.once('error', reject);
    fuzzer.server.listen(port, host, () => {
      fuzzer.server.off('error', reject);
      resolve();
    });
  });
  const bound = (fuzzer.server.address() as AddressInfo).port;
  const name = host.includes(':') ? `[${host}]` : host;
  return {
    url: `${tls === undefined ? 'ws' : 'wss'}://${name}:${bound}`,
    port: bound,
    count: fuzzer.count,
    report: (agent) => fuzzer.report(agent),
    closed: fuzzer.closed,
    close: () => {
      fuzzer.close();
      return fuzzer.closed;
    },
  };
};
