// The options of a node as types; their checks, defaults and texts are in node.ts.
import type { Rate } from '../bytes/rate.js';
import type { Credential } from '../package/credential.js';
import type { AnyScope } from '../package/scope.js';
import type { Reconnect } from '../packet/reconnect.js';
import type { ClientPacketOptions } from './packets-types.js';
import type { ClientOptions } from './types.js';

/** Of the connections under a node: what the node does not say itself. */
export type NodeConnectionOptions = Omit<
  ClientOptions,
  'packets' | 'subprotocols' | 'signal' | 'timeout' | 'text' | 'lend' | 'concurrency' | 'maxMessage'
>;

export interface NodeOptions {
  readonly credential: string | Credential;
  readonly url?: string | URL | undefined;
  readonly packets?: Omit<ClientPacketOptions, 'reconnect'> | undefined;
  readonly connection?: NodeConnectionOptions | undefined;
  readonly scopes?: readonly AnyScope[] | undefined;
  readonly reconnect?: false | Partial<Reconnect> | undefined;
  readonly patient?: boolean | undefined;
  readonly lease?: number | undefined;
  readonly timeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly maxConcurrent?: number | undefined;
  readonly maxWaiting?: number | undefined;
  readonly maxCalls?: number | undefined;
  readonly limit?: Rate | undefined;
}

type Filled = 'connection' | 'scopes' | 'patient' | 'timeout' | 'maxConcurrent' | 'maxWaiting' | 'maxCalls';

export type ResolvedNode = Omit<NodeOptions, Filled | 'reconnect'> & {
  readonly [Name in Filled]-?: Exclude<NodeOptions[Name], undefined>;
} & { readonly reconnect: Reconnect | undefined };
