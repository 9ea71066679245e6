// The other end of child.ts: a process that is asked by a word on stdin and answers with one line of JSON on stdout, in order.
// When stdin ends, who asked is gone, and so is the process. Runs in Node, Bun and Deno.
import process from 'node:process';

export const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

export const answer = (questions: Readonly<Record<string, () => unknown>>): void => {
  let rest = '';
  process.stdin.on('data', (chunk: Uint8Array | string) => {
    const words = (rest + String(chunk)).split('\n');
    rest = words.pop() ?? '';
    for (const word of words) say(JSON.stringify(questions[word]?.() ?? null));
  });
  process.stdin.on('end', () => process.exit(0));
};
