// What packet sessions are measured beside, as tables: ways to carry a message, and what is carried. A case is one of each. The names are
// those under which the figures are quoted. Knows no server and no socket.
import type { Goal } from '../goals.js';

/** A way to carry messages from a client to our server. */
export interface Service {
  readonly name: string;
  readonly title: string;
  readonly layer: 'messages' | 'clear' | 'sealed';
  /** TLS below. */
  readonly secure: boolean;
  readonly reliable: boolean;
  /** False: node:crypto seals packets of every size. */
  readonly webAssembly: boolean;
  /** Who shows one in the handshake of a sealed session. */
  readonly certificates: 'none' | 'server' | 'both';
}

export interface Workload {
  readonly name: string;
  readonly title: string;
  /** echo: each reply sets off the next message. in: of `depth` messages the server answers the last. open: open a session and close it. */
  readonly mode: 'echo' | 'in' | 'open';
  /** Octets of a message. */
  readonly size: number;
  readonly connections: number;
  /** Messages under way at once, of each connection. */
  readonly depth: number;
}

export interface Case {
  readonly service: Service;
  readonly workload: Workload;
}

const service = (name: string, title: string, rest: Partial<Service>): Service => ({
  name,
  title,
  layer: 'messages',
  secure: false,
  reliable: false,
  webAssembly: true,
  certificates: 'none',
  ...rest,
});
const sealed = { layer: 'sealed', certificates: 'server' } as const;

export const SERVICES: readonly Service[] = [
  service('ws', 'plain messages', {}),
  service('wss', 'messages over TLS', { secure: true }),
  service('clear', 'clear packets', { layer: 'clear' }),
  service('clear-r', 'clear, RELIABLE', { layer: 'clear', reliable: true }),
  service('sealed', 'sealed packets', sealed),
  service('sealed-r', 'sealed, RELIABLE', { ...sealed, reliable: true }),
  service('sealed-node', 'sealed, node:crypto', { ...sealed, webAssembly: false }),
  service('sealed-r-node', 'sealed, RELIABLE, node:crypto', { ...sealed, reliable: true, webAssembly: false }),
];

/** Ways to open a session, the first two without one. */
export const OPENINGS: readonly Service[] = [
  service('ws', 'WebSocket alone', {}),
  service('wss', 'WebSocket over TLS', { secure: true }),
  service('clear', 'session in clear', { layer: 'clear' }),
  service('anonymous', 'sealed, no certificate', { layer: 'sealed' }),
  service('server', "sealed, the server's certificate", sealed),
  service('both', 'sealed, certificates of both', { layer: 'sealed', certificates: 'both' }),
];

const traffic = (name: string, title: string, mode: 'echo' | 'in', size: number, depth: number): Workload => ({
  name,
  title,
  mode,
  size,
  connections: 64,
  depth,
});

/** Sealed, 972 octets fill the 988 of a packet's Data with their tag, and 988 take two fragments (PROTOCOL.md section 3.5). */
export const WORKLOADS: readonly Workload[] = [
  traffic('echo64', '64 B echoed', 'echo', 64, 1),
  traffic('echo972', '972 B echoed', 'echo', 972, 1),
  traffic('echo988', '988 B echoed (sealed: two fragments)', 'echo', 988, 1),
  traffic('echo64-d8', '64 B echoed, 8 in flight', 'echo', 64, 8),
  traffic('echo972-d8', '972 B echoed, 8 in flight', 'echo', 972, 8),
  traffic('in64', '64 B received', 'in', 64, 64),
  traffic('in972', '972 B received', 'in', 972, 64),
];
export const OPEN: Workload = {
  name: 'open',
  title: 'opened and closed',
  mode: 'open',
  size: 0,
  connections: 8,
  depth: 1,
};

export const nameOf = ({ service, workload }: Case): string => `${workload.name}/${service.name}`;

export const CASES: readonly Case[] = [
  ...WORKLOADS.flatMap((workload) => SERVICES.map((service): Case => ({ service, workload }))),
  ...OPENINGS.map((service): Case => ({ service, workload: OPEN })),
];

const ratio = (title: string, what: string, beside: string, limit: number): Goal => ({
  title,
  what,
  beside,
  by: 'ratio',
  limit,
});

/** Of echoes with one message in flight, as most connections live; a handshake is what a sealed session costs more than one in clear. */
export const GOALS: readonly Goal[] = [
  ratio('sealed packets of 988 B Data beside the same bytes over wss', 'echo972/sealed', 'echo972/wss', 1.6),
  ratio('clear packets of 64 B beside plain messages', 'echo64/clear', 'echo64/ws', 1.5),
  ratio('clear packets of 988 B beside plain messages', 'echo988/clear', 'echo988/ws', 1.5),
  {
    title: "handshake with the server's certificate, us",
    what: 'open/server',
    beside: 'open/clear',
    by: 'more',
    limit: 1000,
  },
  {
    title: 'handshake with certificates of both, us',
    what: 'open/both',
    beside: 'open/clear',
    by: 'more',
    limit: 1000,
  },
];
