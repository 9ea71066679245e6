// The options of packet sessions as types; their checks, defaults and texts are in packets.ts.
import type { CertificateSource } from '../crypto/certificate.js';
import type { Pin } from '../crypto/pins.js';
import type { Reconnect } from '../packet/reconnect.js';

export type { Reconnect };

/** What both sides can say about the sessions of `v0.packet.wsd`. */
export interface PacketLayerOptions {
  readonly mode?: 'required' | 'none' | undefined;
  readonly certificate?: CertificateSource | undefined;
  readonly key?: CertificateSource | undefined;
  readonly passphrase?: string | undefined;
  readonly pins?: ReadonlyArray<string | Pin> | undefined;
  readonly anchors?: readonly CertificateSource[] | undefined;
  readonly context?: string | Uint8Array | undefined;
  readonly crypto?: 'node' | 'portable' | undefined;
  readonly maxMessage?: number | undefined;
  readonly heartbeat?: number | undefined;
  readonly heartbeatTimeout?: number | undefined;
  readonly handshakeTimeout?: number | undefined;
  readonly maxUnacked?: number | undefined;
  readonly maxUnackedBytes?: number | undefined;
}

export interface ServerPacketOptions extends PacketLayerOptions {
  readonly clientCertificate?: 'none' | 'optional' | 'required' | undefined;
  readonly maxSessions?: number | undefined;
  readonly resumeTtl?: number | undefined;
}

export interface ClientPacketOptions extends PacketLayerOptions {
  readonly anonymous?: boolean | undefined;
  readonly name?: string | undefined;
  readonly reconnect?: false | Partial<Reconnect> | undefined;
}

type Unset = 'certificate' | 'key' | 'passphrase' | 'context' | 'name';
type Filled<Options> = {
  readonly [Name in Exclude<keyof Options, Unset>]-?: Exclude<Options[Name], undefined>;
} & { readonly [Name in Extract<keyof Options, Unset>]: Options[Name] };

export type ServerPackets = Filled<ServerPacketOptions>;
export type ClientPackets = Filled<Omit<ClientPacketOptions, 'reconnect'>> & {
  readonly reconnect: Reconnect | undefined;
};
