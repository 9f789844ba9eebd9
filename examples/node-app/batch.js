// A list of jobs with one loaded model: node batch.js jobs.json
// A job that fails is reported and the next one goes on; Ctrl-C ends the current one cleanly.
import { readFile } from 'node:fs/promises';

import { DetailGuidanceError, loadPipeline } from 'detail-guidance';

const jobs = JSON.parse(await readFile(process.argv[2] ?? 'jobs.json', 'utf8'));
const interrupt = new AbortController();
process.once('SIGINT', () => interrupt.abort());

const pipeline = await loadPipeline('embedded');
try {
  for (const { out, options } of jobs) {
    try {
      const { images } = await pipeline.generate({ ...options, signal: interrupt.signal });
      for (const [index, image] of images.entries()) {
        const file = images.length === 1 ? out : out.replace(/(\.png)?$/, `-${index}.png`);
        await image.save(file);
        process.stdout.write(`${file}: seed ${image.seed}\n`);
      }
    } catch (error) {
      if (!(error instanceof DetailGuidanceError)) throw error;
      process.stderr.write(`${out}: ${error.code}: ${error.message}\n`);
      process.exitCode = 1;
      if (error.code === 'ABORT_ERR') break;
    }
  }
} finally {
  await pipeline.dispose();
}
