// The client for embedders: one function, one promise. What it goes through until there is a connection is in open.ts.
import type { Session } from '../link/session.js';
import { resolveClient } from '../options/options.js';
import type { ClientPacketOptions } from '../options/packets-types.js';
import type { ClientOptions } from '../options/types.js';
import type { Connection } from '../websocket/connection.js';
import { open } from './open.js';
import { openSession } from './session.js';

/**
 * Opens a WebSocket: `ws://`, `wss://`, or `ws+unix:/path/of/socket:/resource`. Resolves with a connection that is open; the first message
 * is not lost however late a listener is added, and a listener that is added right after the `await` also hears 'open'.
 *
 * Rejects with a WsdError whose `code` starts with WSD_DIAL_, or with a TypeError for options that are wrong. `timeout` is one deadline for
 * everything from the name lookup to the answer, redirects included. `signal` aborts the same; once there is a connection it has no effect.
 * Redirects that are followed (`redirects`, none by default) never lead from wss to ws, and Authorization, Cookie and Proxy-… headers and
 * the client's certificate do not follow to another origin.
 *
 * With `packets` it resolves with a session instead, once that is open; a session finds its way back by itself when its connection is lost.
 */
export function connect(
  url: string | URL,
  options: ClientOptions & { readonly packets: ClientPacketOptions },
): Promise<Session>;
export function connect(url: string | URL, options?: ClientOptions): Promise<Connection<undefined>>;
export async function connect(
  url: string | URL,
  options: ClientOptions = {},
): Promise<Connection<undefined> | Session> {
  if (typeof url !== 'string' && !(url instanceof URL))
    throw new TypeError('connect: the URL must be a string or a URL');
  const resolved = resolveClient(options);
  const { packets } = resolved.rest;
  if (packets !== undefined) return openSession(url, resolved, packets);
  const { connection } = await open(url, resolved);
  return connection;
}
