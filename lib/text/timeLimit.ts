/** Work that ends: what a file says how to do may take for ever, in one regular expression even. */
import { createContext, Script, type Context } from 'node:vm';

const program = new Script('result = work()');
let context: Context | undefined;

/**
 * What `work` gives, unless it takes longer: it is ended then, wherever it is.
 *
 * @throws what `tooLong` makes; what `work` throws
 */
export function withinTime<Result>(milliseconds: number, work: () => Result, tooLong: () => Error): Result {
  context ??= createContext({});
  context['work'] = work;
  try {
    program.runInContext(context, { timeout: milliseconds });
    return context['result'] as Result;
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT' ? tooLong() : error;
  } finally {
    context['work'] = context['result'] = undefined;
  }
}
