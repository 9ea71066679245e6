// Real processes for specs: `wsd` with the code that was compiled beside the spec, and programs of nodes that are told what to do line by line.
// Each is ended with its test at the latest.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';

/** Every wait of these specs ends here at the latest. */
export const PATIENCE = 40_000;

const MAIN = new URL('../../lib/cli/main.js', import.meta.url).href;
const ACTOR = fileURLToPath(new URL('./actor.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Process {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ended>;
  out = '';
  err = '';
  readonly #lines: string[] = [];
  #wake: () => void = () => {};
  #over = false;

  constructor(t: Test, args: readonly string[]) {
    this.child = spawn(process.execPath, args, { env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined } });
    t.teardown(() => this.child.kill('SIGKILL'));
    this.child.stdin.on('error', () => {});
    this.child.stderr.on('data', (chunk) => {
      this.err += chunk;
    });
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      this.out += `${line}\n`;
      this.#lines.push(line);
      this.#wake();
    });
    this.ended = once(this.child, 'close').then(([code, signal]) => {
      this.#over = true;
      this.#wake();
      return { code, signal } as Ended;
    });
  }

  /** The next line of stdout. */
  async line(): Promise<string> {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), PATIENCE);
    try {
      for (;;) {
        const line = this.#lines.shift();
        if (line !== undefined) return line;
        if (this.#over) throw new Error(`it ended and said only: ${this.out}${this.err}`);
        await new Promise<void>((wake) => {
          this.#wake = wake;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Settles once stderr has it. */
  async said(wanted: string): Promise<void> {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), PATIENCE);
    while (!this.err.includes(wanted)) {
      await Promise.race([once(this.child.stderr, 'data'), this.ended]);
      if (this.#over && !this.err.includes(wanted)) throw new Error(`never said: ${wanted}, but: ${this.err}`);
    }
    clearTimeout(timer);
  }

  async kill(signal: NodeJS.Signals): Promise<Ended> {
    this.child.kill(signal);
    return this.ended;
  }
}

/** `wsd` with these words. */
export const wsd = (t: Test, ...words: string[]): Process =>
  new Process(t, ['--input-type=module', '-e', `(await import('${MAIN}')).run(process)`, 'wsd', ...words]);

/** A node in a process of its own (actor.ts): each `tell` is answered by one line. */
export class Actor {
  readonly process: Process;

  constructor(t: Test, credential: string, lease: number) {
    this.process = new Process(t, [ACTOR, credential, String(lease)]);
  }

  async tell(command: object): Promise<unknown> {
    this.process.child.stdin.write(`${JSON.stringify(command)}\n`);
    return JSON.parse(await this.process.line());
  }
}
