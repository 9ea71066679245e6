// What one node was asked for another, and the scope of what it sends back → how far that is an answer. Who was asked may send the answer that
// was declared, or an ERROR, whatever it may send unasked; it chooses no other scope, or any note to a node would be leave to send it
// anything. PROTOCOL.md sections 8.2 and 8.5.
import { type PackageFault, packageFault } from './codes.js';
import { ERROR } from './core-scopes.js';
import { type AnyScope, FIRST_OWN_SCOPE } from './scope.js';

/** A package that was passed on and may be answered. */
export interface Asked {
  readonly id: number;
  /** On nobody's behalf. */
  readonly internal: boolean;
  /** Undefined: nobody here declared it, so that nobody here knows its answer. */
  readonly scope: AnyScope | undefined;
}

/** 'due': it needs no permission. 'open': nobody knows whether it is the answer, so who sends it must be allowed to. */
export const judgeAnswer = ({ scope }: Asked, answer: number): 'due' | 'open' | PackageFault => {
  if (answer === ERROR.id || (scope?.reply !== undefined && scope.reply.scope === answer)) return 'due';
  if (scope === undefined && answer >= FIRST_OWN_SCOPE) return 'open';
  const others = scope === undefined ? `${FIRST_OWN_SCOPE} or more` : scope.reply?.scope;
  const message = others === undefined ? `must be ${ERROR.id}` : `must be ${others} or ${ERROR.id}`;
  return packageFault('bad_header', { issues: [{ path: ['header', 'scope'], message }] });
};
