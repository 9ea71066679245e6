// A service or a front in a process of its own: reads a command a line on stdin, answers with a line on stdout. Run by processes.ts.
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import {
  createNode,
  type Document,
  type JsonDocument,
  PackageError,
  scopesFromDeclarations,
  UD_SAVE,
} from '../../lib/index.js';

const [file = '', lease = ''] = process.argv.slice(2);
const [READ] = scopesFromDeclarations([
  { id: 1000, name: 'READ', body: { type: 'object' }, reply: { type: 'object' } },
]) as [never];

const documents = new Map<string, Document>();
/** What `revoked` and `flush` saw, by user. */
const seen = new Map<string, string[]>();

const node = await createNode(
  { credential: await readFile(file, 'utf8'), lease: Number(lease), reconnect: { min: 20, max: 100 } },
  (made) => {
    // A front reads the data of a user from whichever service has it.
    made.on(READ, ((_: unknown, ctx: { header: { user?: string } }) => ({
      data: documents.get(ctx.header.user ?? '')?.data ?? null,
      by: made.nodeID,
    })) as never);
  },
);

interface Command {
  readonly do: string;
  readonly user: string;
  readonly data: JsonDocument;
  readonly epoch: number;
  readonly last: JsonDocument | undefined;
  readonly destination: string;
}

const documentOf = ({ user }: Command): Document => {
  const document = documents.get(user);
  if (document === undefined) throw new Error(`${user} is not here`);
  return document;
};

const commands: Readonly<Record<string, (command: Command) => unknown>> = {
  own: async ({ user, last }) => {
    const notes: string[] = [];
    seen.set(user, notes);
    const document = await node.own(user, {
      flush: (mine, { why, to }) => {
        notes.push(`flush ${why} ${to ?? 'nobody'}`);
        if (last !== undefined) mine.data = last;
      },
    });
    document.revoked.addEventListener('abort', () => void notes.push('revoked'), { once: true });
    documents.set(user, document);
    return { epoch: document.epoch, data: document.data };
  },
  save: async (command) => {
    const document = documentOf(command);
    document.data = command.data;
    return { version: await document.save(), epoch: document.epoch };
  },
  seen: ({ user }) => ({ seen: seen.get(user), revoked: documents.get(user)?.revoked.aborted }),
  // Past its own fence: what a service would do whose clock stood still.
  late: ({ user, epoch, data }) => node.call(UD_SAVE, { user, epoch, userData: data }),
  read: ({ user, destination }) => node.call(READ, {} as never, { user, channel: '1', destination }),
  close: () => node.close(),
};

process.stdout.write(`${JSON.stringify({ open: node.nodeID })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as Command;
  let answer: unknown;
  try {
    answer = await commands[command.do]?.(command);
  } catch (error) {
    answer = { error: error instanceof PackageError ? error.code : String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer ?? null)}\n`);
}
process.exit(0);
