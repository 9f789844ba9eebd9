/** What is made up at random. */
export const kinds = ['archive', 'bundle', 'safetensors', 'picture', 'call', 'command'] as const;
export type Kind = (typeof kinds)[number];
