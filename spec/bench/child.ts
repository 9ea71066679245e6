// A process beside ours: started on one CPU where the system can do that, ready when it has said its first line, then asked by words.
// Every wait is bounded, and it dies with us: its stdin ends.
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

const PATIENCE_MS = 30_000;
const KEPT_ERRORS = 2_000;

const bind = (cpu: number): string[] => ['taskset', '-c', String(cpu)];

let pins: boolean | undefined;

/** Whether a process can be bound to a CPU: two CPUs and `taskset`. */
export const canPin = (): boolean => {
  const works = (cpu: number): boolean => {
    const [command = '', ...words] = bind(cpu);
    return spawnSync(command, [...words, process.execPath, '--version'], { stdio: 'ignore' }).status === 0;
  };
  pins ??= availableParallelism() > 1 && works(0) && works(1);
  return pins;
};

type Answer = (line: string | Error) => void;

export class Child {
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #waiting: Answer[] = [];
  #errors = '';
  #over: Error | undefined;
  greeting = '';

  private constructor(command: readonly string[], cpu: number, env: Readonly<Record<string, string>>) {
    const [file = '', ...words] = canPin() ? [...bind(cpu), ...command] : command;
    const { NODE_OPTIONS: _, ...inherited } = process.env;
    this.#process = spawn(file, words, {
      env: { ...inherited, NODE_ENV: 'production', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#process.stderr.on('data', (chunk: Buffer) => {
      this.#errors = (this.#errors + chunk.toString()).slice(-KEPT_ERRORS);
    });
    this.#process.stdin.on('error', () => {});
    this.#process.once('error', (error) => this.#end(error));
    this.#process.once('close', (code, signal) => {
      this.#end(new Error(`the process ended (${signal ?? code}) ${this.#errors}`.trim()));
    });
    createInterface({ input: this.#process.stdout }).on('line', (line) => this.#waiting.shift()?.(line));
  }

  static async start(command: readonly string[], cpu: number, env: Readonly<Record<string, string>>): Promise<Child> {
    const child = new Child(command, cpu, env);
    try {
      child.greeting = await child.#line();
    } catch (error) {
      await child.stop();
      throw error;
    }
    return child;
  }

  async ask<T>(word: string): Promise<T> {
    if (this.#over === undefined) this.#process.stdin.write(`${word}\n`);
    return JSON.parse(await this.#line()) as T;
  }

  async stop(): Promise<void> {
    if (this.#over !== undefined) return;
    const closed = new Promise((resolve) => this.#process.once('close', resolve));
    // A wrapper cannot pass SIGKILL on; the end of stdin reaches the process behind it.
    this.#process.stdin.end();
    this.#process.kill('SIGKILL');
    await closed;
  }

  #line(): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#over !== undefined) return reject(this.#over);
      const timer = setTimeout(() => this.#end(new Error(`no answer in time ${this.#errors}`.trim())), PATIENCE_MS);
      this.#waiting.push((line) => {
        clearTimeout(timer);
        if (typeof line === 'string') resolve(line);
        else reject(line);
      });
    });
  }

  #end(error: Error): void {
    if (this.#over !== undefined) return;
    this.#over = error;
    this.#process.kill('SIGKILL');
    for (const wake of this.#waiting.splice(0)) wake(error);
  }
}
