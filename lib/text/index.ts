export { encodePrompts, type PromptTruncated, type TextEncoding } from './encode';
export { joinText, type EncodedText } from './join';
export { positions } from './positions';
export { loadTokenizer, PromptTokenizer } from './tokenizer';
