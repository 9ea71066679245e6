// A real dispatch for pages: it knows the login of one, and every packet session as another. Not a spec.

import type { Test } from 'tap';
import * as z from 'zod';
import type { PageNodeOptions } from '../../lib/browser/node.js';
import { makeNodeKey, secretFrom } from '../../lib/crypto/package-keys.js';
import { createDispatch, createServer, type Dispatch, defineScope, type Pin, type Scope } from '../../lib/index.js';
import { wall } from '../../lib/net/clock.js';
import { nodeRecord } from '../../lib/package/key-record.js';
import { KeyRing } from '../../lib/package/key-ring.js';
import type { Grant } from '../../lib/package/package.js';
import { nodeSigner } from '../../lib/package/token-node.js';
import { memoryStore } from '../../lib/store/memory.js';
import { Line } from '../link/line.js';
import { newCertificate, pinOf } from './scene.js';

export const SECRET: Uint8Array = new Uint8Array(32).fill(7);

interface Sum {
  readonly sum: number;
}

interface Summands {
  readonly a: number;
  readonly b: number;
}

export const ADD: Scope<Summands, Sum> = defineScope({
  id: 1000,
  name: 'ADD',
  body: z.object({ a: z.number(), b: z.number() }),
  reply: z.object({ sum: z.number() }),
});

export interface PageDispatch {
  readonly dispatch: Dispatch;
  readonly line: Line;
  readonly url: string;
  readonly login: { readonly kid: string; readonly secret: string };
  readonly pin: Pin;
  readonly session: NonNullable<PageNodeOptions['session']>;
  readonly ADD: typeof ADD;
}

/** `page-1` has a login; whose session it is, is always `page-2`. Both are fronts of the user 7. The dispatch adds. */
export const dispatchFor = async (t: Test, origin?: string): Promise<PageDispatch> => {
  const made = newCertificate();
  const ring = new KeyRing(wall);
  const grant: Grant = { node: 'page-1', role: 'front', users: ['7'] };
  const login = { kid: 'login.1', secret: Buffer.from(SECRET).toString('base64url') };
  ring.add(nodeRecord(grant, { kid: login.kid, alg: 'HS256', secret: secretFrom(SECRET) }));
  const key = nodeSigner({ kid: 'dispatch.1', alg: 'ES256', key: makeNodeKey().privateKey, node: 'dispatch' });
  const dispatch = createDispatch({ store: memoryStore(), key, keys: ring, lease: 900 });
  dispatch.router.on(ADD, ({ a, b }) => ({ sum: a + b }));
  const server = createServer<unknown>({
    ...(origin === undefined ? {} : { origins: [origin] }),
    packages: { ...dispatch.packages, sessionNode: () => ({ node: 'page-2', role: 'front', users: ['7'] }) },
    packets: { certificate: made.certificatePem, key: made.keyPem },
    closeTimeout: 100,
  });
  t.teardown(async () => {
    dispatch.close();
    await server.close({ drain: 100 });
  });
  const { port = 0 } = await server.listen();
  const line = await Line.to(t, port);
  const pin = pinOf(made);
  return { dispatch, line, url: line.url, login, pin, session: { pins: [pin] }, ADD };
};
