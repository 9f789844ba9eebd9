/** A picture of the gallery, read when it comes into sight. */
import { useEffect, useRef, useState } from 'preact/hooks';

import { Picture } from '../controls/picture';
import { gallery } from '../host';

import type { KeptPicture } from './store';

export function Thumbnail({ picture }: { picture: KeptPicture }) {
  const place = useRef<HTMLDivElement>(null);
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    let address: string | null = null;
    let isHere = true;
    const observer = new IntersectionObserver(([entry]) => {
      if (!entry!.isIntersecting) return;
      observer.disconnect();
      void gallery.png(picture.id).then((png) => {
        if (!png || !isHere) return;
        address = URL.createObjectURL(new Blob([png as Uint8Array<ArrayBuffer>], { type: 'image/png' }));
        setUrl(address);
      });
    });
    observer.observe(place.current!);
    return () => {
      isHere = false;
      observer.disconnect();
      if (address !== null) URL.revokeObjectURL(address);
    };
  }, [picture.id]);
  return (
    <div ref={place}>
      <Picture src={url} alt={`${picture.title}, seed ${picture.seed}`} width={picture.width} height={picture.height} />
    </div>
  );
}
