/** The preload script of `studioPreloadFile()`: the studio's page keeps its pictures in the folder of `offerGallery`. */
import { contextBridge, ipcRenderer } from 'electron';

import type { GalleryBridge } from './galleryTypes';
import { channels } from './protocol';
import type { Outcome } from './types';

const ask = <Value>(channel: string, ...args: unknown[]) =>
  ipcRenderer.invoke(channel, ...args) as Promise<Outcome<Value>>;

const gallery: GalleryBridge = {
  list: () => ask(channels.galleryList),
  read: (file) => ask(channels.galleryRead, file),
  write: (png, name) => ask(channels.galleryWrite, png, name),
  remove: (file) => ask(channels.galleryRemove, file),
};

contextBridge.exposeInMainWorld('detailGuidanceHost', { gallery });
