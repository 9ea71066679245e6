// The client for embedders: one function, one promise. What it goes through until there is a connection is in open.ts.
import type { ClientOptions } from '../option-types.js';
import { resolveClient } from '../options.js';
import type { Connection } from '../websocket/connection.js';
import { open } from './open.js';

/**
 * Opens a WebSocket: `ws://`, `wss://`, or `ws+unix:/path/of/socket:/resource`. Resolves with a connection that is open; the first message
 * is not lost however late a listener is added, and a listener that is added right after the `await` also hears 'open'.
 *
 * Rejects with a WsdError whose `code` starts with WSD_DIAL_, or with a TypeError for options that are wrong. `timeout` is one deadline for
 * everything from the name lookup to the answer, redirects included. `signal` aborts the same; once there is a connection it has no effect.
 * Redirects that are followed (`redirects`, none by default) never lead from wss to ws, and Authorization, Cookie and Proxy-… headers and
 * the client's certificate do not follow to another origin.
 */
export const connect = async (url: string | URL, options: ClientOptions = {}): Promise<Connection<undefined>> => {
  if (typeof url !== 'string' && !(url instanceof URL))
    throw new TypeError('connect: the URL must be a string or a URL');
  const { connection } = await open(url, resolveClient(options));
  return connection;
};
