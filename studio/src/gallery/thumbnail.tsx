/** A picture of the gallery; its bytes are read when it is drawn. */
import { useEffect, useState } from 'preact/hooks';

import { Picture } from '../controls/picture';

import { readPicture } from './reading';
import type { KeptPicture } from './store';

export function Thumbnail({ picture, square }: { picture: KeptPicture; square?: boolean }) {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => readPicture(picture.id, setUrl), [picture.id]);
  const { title, seed, width, height } = picture;
  return <Picture src={url} alt={`${title}, seed ${seed}`} width={width} height={height} square={square} />;
}
