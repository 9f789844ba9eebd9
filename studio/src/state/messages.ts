/** Sentences for the user that stay until they are read. */
import { signal } from '@preact/signals';

export interface Message {
  id: number;
  text: string;
}

export const messages = signal<readonly Message[]>([]);
let next = 1;

export function say(text: string): void {
  messages.value = [...messages.value.filter((message) => message.text !== text).slice(-3), { id: next++, text }];
}

export function dismiss(id: number): void {
  messages.value = messages.value.filter((message) => message.id !== id);
}
