/** Image to image, and inpainting with a painted mask. */
import { useSignal } from '@preact/signals';

import type { BundleInfo } from '../api/types';
import { FileButton } from '../controls/file';
import { docstring, Field, formatted } from '../controls/help';
import { MaskPainter } from '../controls/maskPainter';
import { Slider } from '../controls/number';
import { bundle } from '../state/bundles';
import { limitsOf } from '../state/limits';
import { plans } from '../state/plans';
import { problemAt } from '../state/problems';
import { change, settings, type Settings } from '../state/settings';

import { pictureSize } from './viewCard';

export function readAsDataUrl(file: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result as string);
    reader.onerror = () => reject(reader.error ?? new Error('The file cannot be read.'));
    reader.readAsDataURL(file);
  });
}

const mostCells = 256;

/** The settings, with the picture in them, are written with every change. */
const mostBytes = 2 ** 26;

/** The mask has a cell for each latent cell: finer than that, nothing can be kept. */
function maskGrid(): { rows: number; columns: number } {
  const planned = Object.values(plans.value).find((answer) => answer?.planned)?.planned;
  const [rows, columns] = planned?.plan.size.latent.slice(-2) ?? [];
  const { width, height } = pictureSize();
  const [tall, wide] = [rows ?? height, columns ?? width];
  // Nobody paints finer, and every cell is drawn and kept.
  const coarse = Math.ceil(Math.max(tall, wide) / mostCells);
  return { rows: Math.ceil(tall / coarse), columns: Math.ceil(wide / coarse) };
}

/** The picture's shape, as near as the bundle makes it, in about as many pixels as it usually makes. */
function sizeFor(picture: ImageBitmap, { size }: BundleInfo): Pick<Settings, 'width' | 'height'> {
  const scale = Math.sqrt((size.width * size.height) / (picture.width * picture.height));
  const side = (pixels: number, step: number | null, most: number | null) =>
    step && step * Math.max(1, Math.min(Math.round((pixels * scale) / step), Math.floor((most ?? Infinity) / step)));
  return {
    width: side(picture.width, size.widthStep, size.maxWidth),
    height: side(picture.height, size.heightStep, size.maxHeight),
  };
}

export function StartPictureFields() {
  const chosen = bundle.value;
  const complaint = useSignal<string | null>(null);
  if (!chosen) return null;
  if (!chosen.imageToImage)
    return <p class="note">This bundle has no VAE encoder: its pictures start from noise alone.</p>;
  const { image, strength, repaint } = settings.value;
  const take = async (file: File) => {
    complaint.value = null;
    if (!/^image\/(png|jpeg|webp)$/.test(file.type)) {
      complaint.value = `${file.name} is no PNG, JPEG or WebP file.`;
      return;
    }
    if (file.size > mostBytes) {
      complaint.value = `${file.name} is too large: pictures of up to 64 MB are taken.`;
      return;
    }
    const bitmap = await createImageBitmap(file).catch(() => null);
    if (!bitmap) {
      complaint.value = `${file.name} is damaged: it cannot be read as a picture.`;
      return;
    }
    change({ image: await readAsDataUrl(file), repaint: null, ...sizeFor(bitmap, chosen) });
    bitmap.close();
  };
  return (
    <>
      <Field label="Start from" doc="GenerateOptions.image" problem={complaint.value ?? problemAt('image')}>
        {({ id, describedBy }) => (
          <div class="with-buttons">
            <FileButton
              text={image === null ? 'Choose a picture' : 'Choose another picture'}
              id={id}
              describedBy={describedBy}
              accept="image/png,image/jpeg,image/webp"
              onFile={(file) => void take(file)}
            />
            {image !== null && (
              <button type="button" class="text-button" onClick={() => change({ image: null, repaint: null })}>
                none
              </button>
            )}
          </div>
        )}
      </Field>
      {image !== null && (
        <>
          <Slider
            label="Strength"
            doc="GenerateOptions.strength"
            value={strength}
            usual={[0.05, 1]}
            {...limitsOf('strength')}
            step={0.05}
            problem={problemAt('strength')}
            onChange={(value) => change({ strength: value })}
          />
          <p class="note">
            {formatted(docstring('GenerateOptions.maskImage'))} Paint what is to be made anew; nothing painted means all
            of it.
          </p>
          <MaskPainter
            label="What is painted anew"
            picture={image}
            {...pictureSize()}
            {...maskGrid()}
            mask={repaint}
            onChange={(mask) => change({ repaint: mask })}
          />
        </>
      )}
    </>
  );
}
