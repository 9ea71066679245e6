// What a connection carries besides plain messages, by its subprotocol: packets, packages, packages in packets. Which of them a client gets is
// decided here, and who takes the connection then. lib/packet/PROTOCOL.md section 1, lib/package/PROTOCOL.md section 1.
import { PACKAGE_PROTOCOL, type PackageLink, SECURE_PACKAGE_PROTOCOL } from '../link/packages.js';
import { PACKET_PROTOCOL } from '../link/protocol.js';
import type { Session } from '../link/session.js';
import type { ServerRest } from '../options/types.js';
import type { Connection } from '../websocket/connection.js';
import type { ConnectionSettings } from '../websocket/settings.js';
import type { Closable } from './drain.js';
import type { PackagesHost } from './guest.js';
import { Packages } from './packages.js';
import { type PacketHost, Packets } from './packets.js';

/** Takes the connections of one subprotocol. */
export interface Layer {
  settings(settings: ConnectionSettings): ConnectionSettings;
  take(connection: Connection<unknown>): void;
}

export type LayersHost = Pick<PacketHost, 'refused'> & PackagesHost & { session(session: Session): void };

type LayerOptions = Pick<ServerRest, 'packets' | 'packages'>;

/** Those that a server with these options serves. */
export const layersOf = ({ packets, packages }: LayerOptions): readonly string[] => [
  ...(packets === undefined ? [] : [PACKET_PROTOCOL]),
  ...(packets === undefined || packages === undefined ? [] : [SECURE_PACKAGE_PROTOCOL]),
  ...(packages === undefined ? [] : [PACKAGE_PROTOCOL]),
];

export class Layers {
  readonly packets: Packets | undefined;
  readonly packages: Packages | undefined;
  readonly #layers: ReadonlyMap<string, Layer>;

  constructor(options: LayerOptions, host: LayersHost) {
    const packages = options.packages === undefined ? undefined : new Packages(options.packages, host);
    const session = (session: Session, protocol: string): void =>
      protocol === SECURE_PACKAGE_PROTOCOL && packages !== undefined
        ? packages.takeSession(session)
        : host.session(session);
    const packets = options.packets === undefined ? undefined : new Packets(options.packets, { ...host, session });
    this.packages = packages;
    this.packets = packets;
    this.#layers = new Map(
      layersOf(options).map((name) => [name, (name === PACKAGE_PROTOCOL ? packages : packets) as Layer]),
    );
  }

  /** Undefined: its messages are the embedder's. */
  of(protocol: string): Layer | undefined {
    return this.#layers.get(protocol);
  }

  get links(): readonly PackageLink[] {
    return this.packages?.links ?? [];
  }

  /** Everybody hears that the server leaves. What comes back is to be waited for. */
  end(): readonly Closable[] {
    const sealed = this.packets?.end() ?? [];
    return [...sealed.map(leaving), ...(this.packages?.end() ?? [])];
  }
}

/** The connection of a packet session ends when its session has said its farewell. */
const leaving = (connection: Connection<unknown>): Closable => ({
  close: () => connection.closed,
  terminate: () => connection.terminate(),
});
