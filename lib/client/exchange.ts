// One HTTP exchange of an opening handshake: a request's bytes → the head of the answer. Whatever comes behind the head stays in the
// socket, which is paused: frames that are glued to a 101 are read by whoever reads next. Judges only the form, within limits.
import type { Socket } from 'node:net';
import { WsdError } from '../fault.js';
import { type HeadLimits, HeadParser, type ResponseHead } from '../http/head.js';
import type { Attempt } from './attempt.js';
import { readable } from './readable.js';
import { reasonFor } from './reason.js';

const MOST_DETAIL = 300;

/** `who` names another party than the server in messages: `the proxy: `. */
export const exchange = (
  attempt: Attempt,
  socket: Socket,
  request: Uint8Array,
  limits: HeadLimits,
  who = '',
): Promise<ResponseHead> => {
  attempt.stage = `waiting for the answer${who === '' ? '' : ' of the proxy'}`;
  return attempt.wait<ResponseHead>((done, fail) => {
    const parser = new HeadParser('response', limits);
    const onData = (chunk: Uint8Array): void => {
      const result = parser.receive(chunk);
      if (result.kind === 'more') return;
      socket.pause();
      if (result.kind === 'fault') return fail(new WsdError(result.code, `${who}${result.detail ?? ''}`));
      if (result.kind !== 'response') return;
      if (result.rest.length > 0) socket.unshift(result.rest);
      done(result.head);
    };
    const onError = (error: Error): void => fail(broken(error, who));
    const onEnd = (): void => fail(new WsdError('WSD_DIAL_ENDED', who === '' ? undefined : `${who}no answer`));
    socket.on('data', onData).on('end', onEnd).on('error', onError).on('close', onEnd);
    socket.resume();
    socket.write(request);
    return () => socket.off('data', onData).off('end', onEnd).off('error', onError).off('close', onEnd);
  });
};

/** With TLS 1.3 a server refuses our certificate only after its handshake is done. */
const broken = (error: Error & { readonly code?: unknown }, who: string): WsdError => {
  const tls = typeof error.code === 'string' && error.code.startsWith('ERR_SSL');
  const detail = readable(reasonFor(error, who), MOST_DETAIL);
  return new WsdError(tls ? 'WSD_DIAL_TLS' : 'WSD_DIAL_ENDED', detail, { cause: error });
};
