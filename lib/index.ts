// The public door: what an embedder may use, and nothing else. Re-exports only; spec/surface.spec.ts holds it to the documented list.

export { connect } from './client/connect.js';
export type { CloseEvent, CloseEventInit } from './client/events.js';
export { type BinaryType, WebSocket, type WebSocketEventMap, type WebSocketOptions } from './client/standard.js';
export { type CertificateSource, certificateInfo } from './crypto/certificate.js';
export type { CertificateInfo } from './crypto/identity.js';
export {
  type CertificateIssuer,
  type CertificateOptions,
  type KeyType,
  type MadeCertificate,
  makeCertificate,
} from './crypto/make-certificate.js';
export type { Pin } from './crypto/pins.js';
export { FAULTS, type Fault, type FaultCode, WsdError } from './fault.js';
export { closeName } from './frame/close.js';
export { explainFrames } from './frame/explain.js';
export type * from './frame/explained.js';
export { Fields } from './http/head.js';
export type { Delivery, Fate } from './link/delivery.js';
export { explainPacket, explainPackets } from './link/explain-packets.js';
export type { Session } from './link/session.js';
export type {
  PacketMessage,
  PacketOptions,
  SessionBreak,
  SessionEvents,
  SessionOutcome,
  UndeliveredMessage,
} from './link/session-events.js';
export type { LoopDelay } from './net/loop-delay.js';
export type { ClientPacketOptions, PacketLayerOptions, Reconnect, ServerPacketOptions } from './option-packets.js';
export type {
  Admit,
  Authorize,
  ChooseSubprotocol,
  ClientOptions,
  ConnectionOptions,
  DeflateOptions,
  OpeningRequest,
  OptionDescription,
  Rate,
  Refusal,
  ServerOptions,
} from './option-types.js';
export { describeOptions } from './options.js';
export type { PacketCode } from './packet/codes.js';
export type { SessionCounters } from './packet/counters.js';
export type * from './packet/explained.js';
export type { SessionState } from './packet/session-types.js';
export type { PlainRequest } from './server/answers.js';
export type { CloseCounts, CloseOptions } from './server/drain.js';
export type { Refused, ServerEvents } from './server/events.js';
export type { Listening, ListenOptions } from './server/listen.js';
export type { RefusedSession } from './server/packets.js';
export {
  type BroadcastOptions,
  type Connections,
  createServer,
  type OnConnection,
  type Server,
} from './server/server.js';
export type { Connection, ConnectionEvents, HandshakeInfo } from './websocket/connection.js';
export type { Outcome } from './websocket/ending.js';
export type { Message } from './websocket/inbox.js';
export type { MessageOptions } from './websocket/outgoing.js';
export type { Payload } from './websocket/payload.js';
export { Prepared } from './websocket/prepared.js';
export type { SendStatus, Sent } from './websocket/sent.js';
export type { MessageWriter } from './websocket/writer.js';
