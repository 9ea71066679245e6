// What packages are measured beside, as tables: ways to ask something and get an answer, and how many ask. A case is one of each. The names are
// those under which the figures are quoted. Knows no server and no socket.
import type { Algorithm } from '../../../lib/package/package.js';
import type { Goal } from '../goals.js';

/** A way for a client to ask something. */
export interface Service {
  readonly name: string;
  readonly title: string;
  /** router: a handler of the server answers. dispatch: another node does, and the server is in between. Else: without packages. */
  readonly kind: 'ws' | 'wsd' | 'socket.io' | 'router' | 'dispatch';
  /** Of packages. */
  readonly alg?: Algorithm;
}

export interface Workload {
  readonly name: string;
  readonly title: string;
  /** request: each reply sets off the next request. idle: connected, shown who it is, then silence; what counts is memory. */
  readonly mode: 'request' | 'idle';
  /** That ask; behind a dispatch as many answer. */
  readonly connections: number;
  /** Requests under way at once, of each connection. */
  readonly depth: number;
}

export interface Case {
  readonly service: Service;
  readonly workload: Workload;
}

const ROUTERS: readonly Service[] = [
  { name: 'hs256', title: 'package, HS256', kind: 'router', alg: 'HS256' },
  { name: 'es256', title: 'package, ES256', kind: 'router', alg: 'ES256' },
];
const DISPATCHES: readonly Service[] = [
  { name: 'forward-hs256', title: 'forwarded by the dispatch, HS256', kind: 'dispatch', alg: 'HS256' },
  { name: 'forward-es256', title: 'forwarded by the dispatch, ES256', kind: 'dispatch', alg: 'ES256' },
];
const OTHERS: readonly Service[] = [
  { name: 'ws', title: 'JSON over ws', kind: 'ws' },
  { name: 'wsd', title: 'JSON over wsd, no packages', kind: 'wsd' },
  { name: 'socket.io', title: 'socket.io, emit with ack', kind: 'socket.io' },
];

export const REQUESTS: readonly Workload[] = [
  { name: 'request', title: 'request and reply', mode: 'request', connections: 64, depth: 1 },
  { name: 'request-d8', title: 'the same, 8 under way', mode: 'request', connections: 64, depth: 8 },
];
export const IDLE: Workload = {
  name: 'idle',
  title: 'idle, KiB of memory each',
  mode: 'idle',
  connections: 10_000,
  depth: 0,
};

export const nameOf = ({ service, workload }: Case): string => `${workload.name}/${service.name}`;

export const CASES: readonly Case[] = [
  ...REQUESTS.flatMap((workload) =>
    [...OTHERS, ...ROUTERS, ...DISPATCHES].map((service): Case => ({ service, workload })),
  ),
  ...[...OTHERS, ...DISPATCHES.slice(0, 1)].map((service): Case => ({ service, workload: IDLE })),
];

/** With one request under way, as most nodes live. */
export const GOALS: readonly Goal[] = [
  { title: 'HS256 package, request and reply, us', what: 'request/hs256', beside: '', by: 'is', limit: 60 },
  {
    title: 'forwarding adds, in times of that (HS256)',
    what: 'request/forward-hs256',
    beside: 'request/hs256',
    by: 'adds',
    limit: 2,
  },
  { title: 'idle node, KiB', what: 'idle/forward-hs256', beside: '', by: 'is', limit: 12 },
];
