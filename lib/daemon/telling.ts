// What happens in a dispatch → lines of a log. What nodes choose in them is their names, which were checked; keys and documents are never told.
import type { Dispatch } from '../index.js';

export type Facts = Readonly<Record<string, string | number | boolean | undefined>>;

export interface DaemonLog {
  write(level: 'debug' | 'info' | 'warn' | 'error', event: string, text: string, facts: Facts): void;
}

/** What failed, and why: that a store has failed helps nobody who does not know that the disk is full. */
const withCause = ({ message, cause }: Error): string =>
  cause instanceof Error && !message.includes(cause.message) ? `${message}: ${cause.message}` : message;

export const tellDispatch = (dispatch: Dispatch, log: DaemonLog): void => {
  dispatch.on('node', ({ peer }) => {
    const { record } = peer;
    if (record === undefined) return;
    const { node, role, kid } = record;
    log.write('info', 'node', `${node} is here: ${role}, key ${kid}`, { node, role, kid });
  });
  dispatch.on('gone', (node) => log.write('info', 'gone', `${node} is gone`, { node }));
  dispatch.on('owner', ({ user, owner, epoch }) => {
    const what = user === undefined ? 'the shared document' : `the data of user ${user}`;
    const text = `${owner ?? 'nobody'} owns ${what}, epoch ${epoch}`;
    log.write('debug', 'owner', text, { user, owner: owner ?? undefined, epoch });
  });
  dispatch.on('conflict', ({ key, node, epoch, currentEpoch }) => {
    const text = `${node} wrote ${key} in epoch ${epoch}, which is over (${currentEpoch} is now): kept as a conflict copy`;
    log.write('warn', 'conflict', text, { key, node, epoch, currentEpoch });
  });
  dispatch.on('error', (error) => {
    const message = withCause(error);
    log.write('error', 'error', message, { message });
  });
};
