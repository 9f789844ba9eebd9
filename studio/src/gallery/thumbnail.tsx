/** A picture of the gallery, read when it comes into sight. */
import { useEffect, useRef, useState } from 'preact/hooks';

import { Picture } from '../controls/picture';

import { gallery } from './pictures';
import { whenInSight } from './sight';
import type { KeptPicture } from './store';

export function Thumbnail({ picture }: { picture: KeptPicture }) {
  const place = useRef<HTMLDivElement>(null);
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    let address: string | null = null;
    let isHere = true;
    const leave = whenInSight(place.current!, () => {
      gallery.png(picture.id).then(
        (png) => {
          if (!png || !isHere) return;
          address = URL.createObjectURL(png);
          setUrl(address);
        },
        // Its frame stays empty; the list says what is wrong with the gallery.
        () => undefined,
      );
    });
    return () => {
      isHere = false;
      leave();
      if (address !== null) URL.revokeObjectURL(address);
    };
  }, [picture.id]);
  return (
    <div ref={place}>
      <Picture src={url} alt={`${picture.title}, seed ${picture.seed}`} width={picture.width} height={picture.height} />
    </div>
  );
}
