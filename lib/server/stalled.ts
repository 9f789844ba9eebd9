/** Clients that ask and do not read. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** Looks at a connection in the time that its client has. */
const looks = 4;

/**
 * Closes connections whose client has taken nothing of what waits for it for so many milliseconds. What is written for
 * one that reads slowly is held back meanwhile, and its job does not wait.
 */
export function closeStalled(http: Server, patience: number): void {
  http.on('connection', (socket: Socket) => {
    // Counted, as a clock that jumps, or a process that stood still, says nothing of the client.
    let inVain = 0;
    socket.on('drain', () => (inVain = 0));
    const look = setInterval(() => {
      if (!socket.writableNeedDrain) inVain = 0;
      else if (inVain++ >= looks) socket.destroy();
    }, patience / looks).unref();
    socket.once('close', () => clearInterval(look));
  });
}
