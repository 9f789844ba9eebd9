// The smallest program: one picture with classifier-free guidance and Detail Guidance.
import { loadPipeline } from 'detail-guidance';

const pipeline = await loadPipeline('embedded');
const { images } = await pipeline.generate({
  classLabel: 'Sneaker',
  seed: 7,
  guidance: { classifierFree: { scale: 2 }, detail: { scale: 0.3 } },
});
await images[0].save('sneaker.png');
await pipeline.dispose();
