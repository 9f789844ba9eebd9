export {
  packLibtorch,
  type PackedLibrary,
  type PackedLibtorch,
  type PackOptions,
  type PackProgress,
} from './packLibtorch';
