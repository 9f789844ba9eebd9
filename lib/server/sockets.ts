/** The connections of a server that is about to stop. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

export class Sockets {
  /** With the bytes that were written to them at the last look. */
  readonly #open = new Map<Socket, number>();

  constructor(http: Server) {
    http.on('connection', (socket: Socket) => {
      this.#open.set(socket, -1);
      socket.once('close', () => this.#open.delete(socket));
    });
  }

  /** Closes those to which nothing was written since the last look, and that have taken all that there was. */
  closeQuiet(): void {
    for (const [socket, written] of this.#open) {
      if (socket.bytesWritten === written && socket.writableLength === 0) socket.destroy();
      else this.#open.set(socket, socket.bytesWritten);
    }
  }
}
