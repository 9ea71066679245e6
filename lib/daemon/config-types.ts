// The configuration of a daemon as types; config.ts has the checks. Every member is optional; times are in milliseconds.
import type { AnyScope, Rate, ServerOptions, ServerPacketOptions } from '../index.js';

export interface ListenConfig {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  /** A Unix socket, instead of host and port. */
  readonly unix?: string | undefined;
  /** PEM files: with them it serves wss. */
  readonly tls?: { readonly certificate: string; readonly key: string } | undefined;
}

/** Those of createServer that can be said in JSON. */
export type ServerConfig = {
  readonly [Name in
    | 'deflate'
    | 'maxConnections'
    | 'maxPerAddress'
    | 'maxHalfOpen'
    | 'handshakeTimeout'
    | 'messageTimeout'
    | 'closeTimeout'
    | 'pingInterval'
    | 'pingTimeout'
    | 'idleTimeout'
    | 'acceptRate'
    | 'acceptRatePerAddress'
    | 'forwardingHeader'
    | 'proxyProtocol']?: (Name extends 'deflate' ? boolean : ServerOptions[Name]) | undefined;
} & {
  readonly path?: string | readonly string[] | undefined;
  readonly origins?: 'same' | 'any' | readonly string[] | undefined;
  readonly hosts?: 'any' | 'loopback' | readonly string[] | undefined;
  readonly trustedProxies?: readonly string[] | undefined;
};

/** Packet sessions. Certificates, keys and anchors are PEM files. */
export interface SessionsConfig extends Pick<ServerPacketOptions, 'clientCertificate' | 'maxSessions' | 'resumeTtl'> {
  /** Absent: the daemon's own, from its data directory. */
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  readonly pins?: readonly string[] | undefined;
  readonly anchors?: readonly string[] | undefined;
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LogConfig {
  readonly level?: LogLevel | undefined;
  readonly json?: boolean | undefined;
}

export interface Config {
  readonly listen?: ListenConfig | undefined;
  /** What credentials say about where the daemon is. */
  readonly url?: string | undefined;
  /** The name of the deployment: tokens of another are refused. */
  readonly audience?: string | undefined;
  readonly server?: ServerConfig | undefined;
  /** False: packages as plain messages only. */
  readonly sessions?: false | SessionsConfig | undefined;
  /** Declared scopes: what is forwarded of them is validated here. */
  readonly scopes: readonly AnyScope[];
  /** What becomes of scopes from 1000 on that are not declared. Default: forwarded. */
  readonly undeclared?: 'forward' | 'refuse' | undefined;
  /** Packages of each scope and node that says none itself. */
  readonly limit?: Rate | undefined;
  /** Credentials say it to nodes. Made shorter, it is for those only whose credential is newer (`wsd token --rotate`). */
  readonly lease?: number | undefined;
  readonly revokeDeadline?: number | undefined;
  /** How long connections may take to close. */
  readonly drain?: number | undefined;
  readonly log?: LogConfig | undefined;
}
