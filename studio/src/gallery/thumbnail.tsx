/** A picture of the gallery; its bytes are read when it is drawn. */
import { useEffect, useState } from 'preact/hooks';

import { Picture } from '../controls/picture';

import { gallery } from './pictures';
import type { KeptPicture } from './store';

export function Thumbnail({ picture, square }: { picture: KeptPicture; square?: boolean }) {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    let address: string | null = null;
    let isHere = true;
    gallery.png(picture.id).then(
      (png) => {
        if (!png || !isHere) return;
        address = URL.createObjectURL(png);
        setUrl(address);
      },
      // Its frame stays empty; the list says what is wrong with the gallery.
      () => undefined,
    );
    return () => {
      isHere = false;
      if (address !== null) URL.revokeObjectURL(address);
    };
  }, [picture.id]);
  const { title, seed, width, height } = picture;
  return <Picture src={url} alt={`${title}, seed ${seed}`} width={width} height={height} square={square} />;
}
