// What all custodies of one dispatch stand on. Types only. PROTOCOL.md section 9.1.
import type { Leases } from './lease.js';
import type {
  OwnershipCounters,
  OwnershipRequest,
  OwnershipSettings,
  OwnershipSink,
  OwnershipWrite,
} from './ownership-types.js';
import type { Store } from './ports.js';

export interface Ground<Request extends OwnershipRequest, Write extends OwnershipWrite> {
  readonly store: Store;
  readonly sink: OwnershipSink<Request, Write>;
  readonly settings: OwnershipSettings;
  readonly leases: Leases;
  readonly counters: OwnershipCounters;
}
