/** The server that is measured: a process of its own, and what its clients do. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import { packageRoot } from '../../lib/files/packageRoot';
import type { ImageRequest, ServerOptions } from '../../lib/server';

type Question = 'listen' | 'watchLoop' | 'loopMax' | 'loopBusy' | 'processor' | 'resident' | 'native';

export class Subject {
  private constructor(
    private readonly child: ChildProcess,
    readonly url: string,
  ) {}

  static async start(options: ServerOptions): Promise<Subject> {
    const dist = join(packageRoot(), 'dist');
    const program = join(packageRoot(), 'bench', 'server', 'child.cjs');
    const settings = { port: 0, logLevel: 'silent', load: { device: 'cpu' }, ...options };
    const child = fork(program, [dist, JSON.stringify(settings)], { execArgv: ['--expose-gc'] });
    const url = await answerOf<string>(child, 'listen');
    return new Subject(child, url);
  }

  ask(question: Exclude<Question, 'listen' | 'native' | 'loopBusy'>): Promise<number>;
  ask(question: 'loopBusy'): Promise<number | null>;
  ask(question: 'native', request: { bundle: string; request: ImageRequest }): Promise<number>;
  ask(question: Question, request?: unknown): Promise<number | null> {
    const answer = answerOf<number | null>(this.child, question);
    this.child.send({ ask: question, request });
    return answer;
  }

  post(path: string, body: unknown, accept = 'application/json'): Promise<Response> {
    const headers = { 'content-type': 'application/json', accept };
    return fetch(this.url + path, { method: 'POST', headers, body: JSON.stringify(body) });
  }

  /** A picture as PNG. @throws Error for any other answer than 200 */
  async picture(request: ImageRequest): Promise<Uint8Array> {
    const response = await this.post('/v1/images', request, 'image/png');
    if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
    return new Uint8Array(await response.arrayBuffer());
  }

  async get<Answer>(path: string): Promise<Answer> {
    return (await (await fetch(this.url + path)).json()) as Answer;
  }

  async close(): Promise<void> {
    const gone = once(this.child, 'exit');
    this.child.send({ ask: 'close' });
    await gone;
  }
}

async function answerOf<Answer>(child: ChildProcess, question: Question): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: { ask: string; answer: Answer }) => {
      if (message.ask !== question) return;
      child.off('message', onMessage);
      child.off('exit', onExit);
      resolve(message.answer);
    };
    const onExit = () => reject(new Error(`The server ended while it was asked: ${question}.`));
    child.on('message', onMessage);
    child.once('exit', onExit);
  });
}
