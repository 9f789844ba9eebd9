/** `detail-guidance setup`: gets libtorch and the addon, after it has shown what it will download and how large that is. */
import { createInterface } from 'node:readline/promises';

import { Command } from 'commander';

import { setup } from '../files/setup';
import { DetailGuidanceError } from '../validation/errors';

interface SetupFlags {
  yes?: boolean;
  dryRun?: boolean;
  prebuilt: boolean;
}

export function setupCommand(): Command {
  return new Command('setup')
    .description('get libtorch and the native addon; shows first what it downloads and how large that is')
    .option('-y, --yes', 'download without asking')
    .option('--dry-run', 'only show what would be done')
    .option('--no-prebuilt', 'compile the addon also where a prebuilt one fits')
    .action(runSetup);
}

/** @throws SETUP_FAILED, also for what the file system refuses */
async function runSetup(flags: SetupFlags): Promise<void> {
  try {
    await getAddon(flags);
  } catch (error) {
    throw setup('setup').explain(error);
  }
}

async function getAddon({ yes = false, dryRun = false, prebuilt }: SetupFlags): Promise<void> {
  const { build, describePlan, planSetup } = setup('setup');
  const plan = await planSetup({ prebuilt });
  for (const line of describePlan(plan)) process.stderr.write(`${line}\n`);
  if (dryRun) return;
  if (plan.downloads.length > 0 && !yes && !(await agrees())) {
    throw new DetailGuidanceError(
      'SETUP_FAILED',
      'Nothing was downloaded: expected --yes or a yes at the question, received neither. ' +
        '`detail-guidance setup --yes` downloads; LIBTORCH=/path/to/libtorch uses one that is there already.',
      { expected: '--yes' },
    );
  }
  await build({ prebuilt });
  process.stderr.write('The addon is ready; `detail-guidance doctor` shows everything.\n');
}

async function agrees(): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question('Go on? [y/N] ')).trim());
  } finally {
    terminal.close();
  }
}
