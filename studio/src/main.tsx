/** Starts the page. */
import { render } from 'preact';

import { App } from './app';
import { listenForDrops } from './drop';
import { keepWhatIsMade } from './gallery/pictures';
import { makeViews } from './make/makePage';
import { connect } from './state/bundles';
import { followSettings } from './state/live';
import { resume } from './state/takenUp';
import './styles/index.css';

render(<App />, document.getElementById('studio')!);
void connect();
keepWhatIsMade();
resume();
followSettings(makeViews);
listenForDrops();
