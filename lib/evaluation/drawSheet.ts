/** Results as pictures: a sheet of generated pictures. `encodePng` makes a file of it. */
import type { Raster } from '../image/png';
import { rasterise } from '../image/rasterise';
import { composeSheet, type Sheet } from '../image/sheet';
import { checkObject } from '../validation/invalid';

/**
 * A contact sheet: titled columns and labelled rows of pictures, on white, two pixels for each CSS pixel.
 *
 * @param sheet pictures of one size; `pipeline.generate`'s images fit as they are
 */
export async function drawSheet(sheet: Sheet): Promise<Raster> {
  checkObject(sheet, 'sheet', 'a sheet { title, columns, rows, … }');
  return rasterise(composeSheet(sheet), 2);
}
