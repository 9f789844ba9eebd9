/** Clients that ask and do not read. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Closes connections whose client has taken nothing of what waits for it for so many milliseconds. What is written for
 * one that reads slowly is held back meanwhile, and its job does not wait.
 */
export function closeStalled(http: Server, patience: number): void {
  http.on('connection', (socket: Socket) => {
    let lastTaken = Date.now();
    socket.on('drain', () => (lastTaken = Date.now()));
    const look = setInterval(() => {
      if (!socket.writableNeedDrain) lastTaken = Date.now();
      else if (Date.now() - lastTaken > patience) socket.destroy();
    }, patience / 4).unref();
    socket.once('close', () => clearInterval(look));
  });
}
