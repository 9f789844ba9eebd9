/** `detail-guidance studio`: the page on the package's own server. */
import { expect, test } from '@jest/globals';

import { run } from './run';

test('studio says where the page is, serves it beside the routes, and ends when it is interrupted', async () => {
  let page: Promise<string[]> | null = null;
  const { code, stdout } = await run(['studio', '--no-open', '--port', '0', '--log-level', 'error'], {
    onOutput: (child, output) => {
      const [, url] = /studio at (http:\/\/127\.0\.0\.1:\d+\/)\n/.exec(output) ?? [];
      if (url === undefined || page) return;
      page = Promise.all([fetch(url), fetch(`${url}v1/bundles`)])
        .then((answers) => Promise.all(answers.map((answer) => answer.text())))
        .finally(() => child.kill('SIGINT'));
    },
  });
  const [html, bundles] = await page!;
  expect(html).toContain('<title>Detail Guidance studio</title>');
  expect(JSON.parse(bundles!)).toMatchObject({ bundles: [{ id: 'embedded' }] });
  // As after any interrupt of a server: it was asked to end, and did.
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^studio at \S+\n$/)]);
});

test('with a token the address carries it where no server logs it', async () => {
  let child: { kill: (signal: 'SIGINT') => boolean } | null = null;
  const { stdout } = await run(
    ['studio', '--no-open', '--port', '0', '--token', 'open sesame', '--log-level', 'error'],
    {
      onOutput: (process, output) => {
        if (output.includes('\n') && !child) (child = process).kill('SIGINT');
      },
    },
  );
  expect(stdout).toMatch(/^studio at http:\/\/127\.0\.0\.1:\d+\/#token=open%20sesame\n/);
});
