export { decodeLatents } from './decode';
export { encodePicture } from './encode';
export { readMask, readPicture, readRaster, type Picture } from './inputPicture';
