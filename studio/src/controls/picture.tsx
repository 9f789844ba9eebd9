/** A picture in a frame of the picture's own shape: pixels are seen when it is small, and it is smooth when large. */
import { useState } from 'preact/hooks';

interface PictureProps {
  src: string | null;
  alt: string;
  width: number;
  height: number;
  /** With room around a picture that is not. */
  square?: boolean;
}

export function Picture({ src, alt, width, height, square }: PictureProps) {
  const [isSmall, setSmall] = useState(width <= 128);
  return (
    <div class="picture" style={{ aspectRatio: square ? '1' : `${width} / ${height}` }}>
      {src !== null && (
        <img
          src={src}
          alt={alt}
          class={isSmall ? 'pixels' : ''}
          decoding="async"
          onLoad={({ currentTarget: image }) => setSmall(image.naturalWidth * 2 <= image.clientWidth)}
        />
      )}
    </div>
  );
}
