export { encodePrompts, type TextEncoding, type Warning } from './encode';
export { joinText, type EncodedText } from './join';
export { positions } from './positions';
export { loadTokenizer, PromptTokenizer } from './tokenizer';
