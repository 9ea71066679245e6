// The options as types: what a user writes, and what they become when every default is filled in. The values are in options.ts.
import type { ConnectionOptions as TlsConnectionOptions } from 'node:tls';
import type { DeflateAgreement } from '../deflate/parameters.js';
import type { DeflateSettings } from '../deflate/settings.js';
import type { HeadLimits } from '../http/head.js';
import type { HandshakeInfo } from '../websocket/connection.js';
import type { ConnectionSettings, Policy } from '../websocket/settings.js';
import type { PackageOptions, ServerPackages } from './packages-types.js';
import type { ClientPacketOptions, ClientPackets, ServerPacketOptions, ServerPackets } from './packets-types.js';

export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

export interface DeflateOptions {
  readonly threshold?: number | undefined;
  readonly level?: number | undefined;
  readonly memLevel?: number | undefined;
  /** Keep the window between messages, both ways. Default false: an idle connection holds no memory for it. */
  readonly contextTakeover?: boolean | undefined;
  readonly serverBits?: number | undefined;
  readonly clientBits?: number | undefined;
  readonly maxRatio?: number | undefined;
  readonly engine?: 'auto' | 'documented' | undefined;
}

/** What holds for a connection on either side. Times are in milliseconds, sizes in bytes. */
export interface ConnectionOptions {
  readonly maxMessage?: number | undefined;
  readonly maxFragments?: number | undefined;
  readonly messageTimeout?: number | undefined;
  readonly closeTimeout?: number | undefined;
  readonly pingInterval?: number | undefined;
  readonly pingTimeout?: number | undefined;
  readonly idleTimeout?: number | undefined;
  readonly highWater?: number | undefined;
  readonly maxBuffered?: number | undefined;
  readonly policy?: Policy | undefined;
  readonly sharedReads?: boolean | undefined;
  readonly directWrites?: boolean | undefined;
  readonly text?: 'string' | 'bytes' | undefined;
  readonly lend?: boolean | undefined;
  readonly concurrency?: number | undefined;
  readonly rate?: Rate | undefined;
  readonly deflate?: boolean | DeflateOptions | undefined;
}

/** What `authorize` and the choice of a subprotocol get to see: the request, before the answer. */
export interface OpeningRequest extends HandshakeInfo {
  /** The Host header. */
  readonly host: string;
  readonly remoteAddress: string;
  readonly secure: boolean;
  /** Offered by the client, in its order of preference. */
  readonly subprotocols: readonly string[];
}

/** An answer of `authorize` that refuses: an HTTP response instead of the 101. */
export interface Refusal {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | undefined;
}

/** An answer of `authorize` that accepts: the data of the connection, and fields to add to the 101. */
export interface Admit<Data> {
  readonly data: Data;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export type Authorize<Data> = (
  request: OpeningRequest,
  signal: AbortSignal,
) => Admit<Data> | Refusal | Promise<Admit<Data> | Refusal>;

export type ChooseSubprotocol = (offered: readonly string[], request: OpeningRequest) => string | undefined;

export interface ServerOptions<Data = undefined> extends ConnectionOptions {
  readonly path?: string | readonly string[] | ((path: string) => boolean) | undefined;
  readonly origins?:
    | 'same'
    | 'any'
    | readonly string[]
    | ((origin: string | undefined, host: string) => boolean)
    | undefined;
  readonly hosts?: 'any' | 'loopback' | readonly string[] | undefined;
  readonly subprotocols?: readonly string[] | ChooseSubprotocol | undefined;
  readonly authorize?: Authorize<Data> | undefined;
  readonly authorizeTimeout?: number | undefined;
  readonly handshakeTimeout?: number | undefined;
  readonly maxConnections?: number | undefined;
  readonly maxPerAddress?: number | undefined;
  readonly maxHalfOpen?: number | undefined;
  readonly maxHalfOpenPerAddress?: number | undefined;
  readonly maxPendingAuthorize?: number | undefined;
  readonly acceptRate?: Rate | undefined;
  readonly acceptRatePerAddress?: Rate | undefined;
  readonly maxBufferedTotal?: number | undefined;
  readonly trustedProxies?: readonly string[] | undefined;
  readonly forwardingHeader?: 'x-forwarded-for' | 'forwarded' | undefined;
  readonly proxyProtocol?: boolean | undefined;
  readonly packets?: ServerPacketOptions | undefined;
  readonly packages?: PackageOptions<NoInfer<Data>> | undefined;
  readonly head?: Partial<HeadLimits> | undefined;
}

export interface ClientOptions extends ConnectionOptions {
  readonly headers?:
    | Readonly<Record<string, string>>
    | ReadonlyArray<readonly [name: string, value: string]>
    | undefined;
  readonly subprotocols?: readonly string[] | undefined;
  readonly origin?: string | undefined;
  readonly timeout?: number | undefined;
  readonly redirects?: number | undefined;
  readonly proxy?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly tls?: TlsConnectionOptions | undefined;
  readonly packets?: ClientPacketOptions | undefined;
  readonly head?: Partial<HeadLimits> | undefined;
}

/** Options with every default filled in: those of a connection, the extension, and the rest. */
export interface Resolved<Rest> {
  readonly settings: ConnectionSettings;
  readonly deflate: { readonly terms: DeflateAgreement; readonly settings: DeflateSettings } | undefined;
  readonly rest: Rest;
}

type Filled<Options, Optional extends keyof Options> = {
  readonly [Name in Exclude<keyof Options, keyof ConnectionOptions | Optional | 'head'>]-?: Exclude<
    Options[Name],
    undefined
  >;
} & { readonly [Name in Optional]: Options[Name] } & { readonly head: HeadLimits };

export type ServerRest = Filled<
  ServerOptions<unknown>,
  'path' | 'hosts' | 'authorize' | 'acceptRate' | 'acceptRatePerAddress' | 'packets' | 'packages'
> & { readonly packets: ServerPackets | undefined; readonly packages: ServerPackages | undefined };
export type ClientRest = Filled<ClientOptions, 'origin' | 'proxy' | 'signal' | 'tls' | 'packets'> & {
  readonly packets: ClientPackets | undefined;
};

/** One option as the help texts and the documents tell it. */
export interface OptionDescription {
  readonly name: string;
  readonly text: string;
  readonly default: unknown;
}
