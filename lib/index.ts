// The public door: what an embedder may use, and nothing else. Re-exports only; spec/surface.spec.ts holds it to the documented list.

export { memoryBus } from './bus/memory.js';
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
export {
  makeNodeKey,
  makeSecret,
  type NodeKey,
  publicKeyOf,
  readPrivateKey,
  readPublicKey,
  readSecret,
  writePem,
  writeSecret,
} from './crypto/package-keys.js';
export type { Pin } from './crypto/pins.js';
export type { Dispatch } from './dispatch/dispatch.js';
export type {
  DispatchCounters,
  DispatchEvents,
  DispatchOptions,
  DispatchPackages,
  ForwardingCounters,
  OwnerChange,
} from './dispatch/dispatch-types.js';
export type { OwnershipCounters } from './dispatch/ownership-types.js';
export type { Bus, BusMessage, ConflictCopy, OwnershipRecord, Store } from './dispatch/ports.js';
export { FAULTS, type Fault, type FaultCode, WsdError } from './fault.js';
export { closeName } from './frame/close.js';
export { explainFrames } from './frame/explain.js';
export type * from './frame/explained.js';
export { Fields } from './http/head.js';
export type { Delivery, Fate } from './link/delivery.js';
export { explainPacket, explainPackets } from './link/explain-packets.js';
export type { LinkEnd, PackageLink } from './link/packages.js';
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
export { createNode } from './node/create.js';
export type { Document, Flush, FlushTerms } from './node/document.js';
export type { OwnOptions } from './node/documents.js';
export type { Node, NodeCounters } from './node/node.js';
export type { NodeEnd, NodeEvents } from './node/node-events.js';
export { Revoked, type RevokedWhy } from './node/revoked.js';
export type { DocumentSchema, JsonDocument } from './node/state.js';
export { Unsaved } from './node/unsaved.js';
export type { NodeState } from './node/uplink.js';
export type { NodeConnectionOptions, NodeOptions } from './options/node-types.js';
export { describeOptions } from './options/options.js';
export type { PackageOptions, SessionIdentity } from './options/packages-types.js';
export type {
  ClientPacketOptions,
  PacketLayerOptions,
  Reconnect,
  ServerPacketOptions,
} from './options/packets-types.js';
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
} from './options/types.js';
export type { PackageCode, PackageIssue } from './package/codes.js';
export {
  ERROR,
  type ErrorBody,
  type OwnershipRequest,
  PING,
  PING_RESPONSE,
  type Revoke,
  type Save,
  type Saved,
  type Transfer,
  UD_REQ_OWNERSHIP,
  UD_REVOKE,
  UD_SAVE,
  UD_SAVED,
  UD_TRANSFER,
} from './package/core-scopes.js';
export {
  type Credential,
  type KeyCredential,
  parseCredential,
  type SecretCredential,
  writeCredential,
} from './package/credential.js';
export { type CallCode, PackageError, Refusal as PackageRefusal } from './package/errors.js';
export { type ExplainPackageOptions, explainPackage } from './package/explain-package.js';
export type * from './package/explained.js';
export { type DeclaredScope, declareScope, scopesFromDeclarations, scopesToJsonSchema } from './package/json-schema.js';
export { readKeyFile } from './package/key-file.js';
export { type NodeKeyGiven, nodeRecord } from './package/key-record.js';
export { KeyRing } from './package/key-ring.js';
export type { NodeLink } from './package/nodes.js';
export type {
  Algorithm,
  Claims,
  Grant,
  JsonObject,
  KeyRecord,
  KeySource,
  Package,
  PackageFooter,
  PackageHeader,
  Permission,
  Role,
  Signer,
  Verifier,
} from './package/package.js';
export type {
  Answer,
  CallOptions,
  Context,
  Handler,
  Incoming,
  Middleware,
  PeerCounters,
  PeerFace,
  Replied,
  SendOptions,
} from './package/peer-types.js';
export { type RouteDefinition, type RouteOptions, Router } from './package/router.js';
export {
  type AnyScope,
  type BodyOf,
  defineScope,
  type ReplyOf,
  type Scope,
  type ScopeDefinition,
  type ScopeLimit,
  type SentBodyOf,
  type SentReplyOf,
} from './package/scope.js';
export { ScopeTable } from './package/scope-table.js';
export { type NodeSignerSettings, nodeSigner, nodeVerifier } from './package/token-node.js';
export type { PacketCode } from './packet/codes.js';
export type { SessionCounters } from './packet/counters.js';
export type * from './packet/explained.js';
export type { SessionState } from './packet/session-types.js';
export type { PlainRequest } from './server/answers.js';
export { createDispatch } from './server/dispatch.js';
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
export { openLevelStore } from './store/level.js';
export { memoryStore } from './store/memory.js';
export { StoreError, type StoreErrorCode } from './store/text.js';
export type { Connection, ConnectionEvents, HandshakeInfo } from './websocket/connection.js';
export type { Outcome } from './websocket/ending.js';
export type { Message } from './websocket/inbox.js';
export type { MessageOptions } from './websocket/outgoing.js';
export type { Payload } from './websocket/payload.js';
export { Prepared } from './websocket/prepared.js';
export type { SendStatus, Sent } from './websocket/sent.js';
export type { MessageWriter } from './websocket/writer.js';
