export { packLibtorch, type PackedLibtorch, type PackOptions, type PackProgress } from './packLibtorch';
