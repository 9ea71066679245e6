// The road of a packet session in a page: how it dials, waits and draws. What it does with its connections is in lib/link/traveller.ts.
// lib/packet/PROTOCOL.md sections 1 and 5.5.
import type { Session } from '../link/session.js';
import { type Paced, Traveller } from '../link/traveller.js';
import { type PageSessionOptions, resolve } from './options.js';
import { after, now, PagePace, random } from './page.js';
import { dial } from './way.js';

/** `protocol`: what the packets carry. */
export const openSession = async (
  url: string | URL,
  options: PageSessionOptions,
  protocol: string,
): Promise<Session> => {
  const { settings, reconnect, timeout } = resolve(options, protocol);
  const road = {
    dial: (signal: AbortSignal) => dial(String(url), protocol, timeout, signal),
    now,
    after,
    random,
    // Memory of its own: a page may give a message to a worker, and none but that one.
    keep: (data: Uint8Array) => new Uint8Array(data),
    pace: (paced: Paced) => new PagePace(paced),
  };
  return new Traveller(road, settings, reconnect).begin(options.signal);
};
