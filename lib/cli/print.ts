/** Text on the terminal. What stands in it may come from a bundle: nothing of it gives the terminal orders. */
import { printable } from '../validation/errors';

export function print(text: string, stream: NodeJS.WriteStream = process.stdout): void {
  stream.write(printable(text));
}
