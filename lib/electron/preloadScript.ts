/** The preload script of `preloadFile()`: one file, since a sandboxed one can require nothing but Electron. */
import { exposeBridge } from './preload';

exposeBridge();
