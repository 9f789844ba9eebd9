export { decodeLatents, type Decoder, type DecodingOptions, type PictureTiled } from './decode';
export { encodePicture } from './encode';
export { pictureSides, readMask, readPicture, type Picture } from './inputPicture';
