/** A set of pictures of one size that is read in parts: what is generated, and what it is compared with. */
export interface PictureSet {
  /** Pictures. */
  readonly count: number;
  /** In pixels. */
  readonly height: number;
  /** In pixels. */
  readonly width: number;
  /** 1 grey, 3 RGB. */
  readonly channels: 1 | 3;
  /** Class of each picture, where the set says. */
  readonly labels: Int32Array | null;
  /**
   * Pixels of the pictures from `from` to before `to`: bytes [to − from, height, width, channels].
   *
   * @throws BAD_TENSOR for a damaged picture, or one of another size
   */
  read(from: number, to: number): Promise<Uint8Array>;
}
