/** Numbers as colours, evenly spaced to the eye: a sequential map for magnitudes, a diverging one for signed values. */

/** viridis for magnitudes, blue-red for signed values, grey from black to white. */
export type ColourMap = 'viridis' | 'blue-red' | 'grey';

type Colour = readonly [red: number, green: number, blue: number];

/** Viridis (van der Walt and Smith, matplotlib, CC0) at nine even places. */
const viridis: Colour[] = [
  [68, 1, 84],
  [71, 45, 123],
  [59, 82, 139],
  [44, 114, 142],
  [33, 145, 140],
  [40, 174, 128],
  [94, 201, 98],
  [173, 220, 48],
  [253, 231, 37],
];

/** From blue by white to red (ColorBrewer's RdBu, Apache-2.0), both ends equally dark. */
const blueRed: Colour[] = [
  [5, 48, 97],
  [33, 102, 172],
  [67, 147, 195],
  [146, 197, 222],
  [247, 247, 247],
  [244, 165, 130],
  [214, 96, 77],
  [178, 24, 43],
  [103, 0, 31],
];

const grey: Colour[] = [
  [0, 0, 0],
  [255, 255, 255],
];

const maps: Readonly<Record<ColourMap, readonly Colour[]>> = { viridis, 'blue-red': blueRed, grey };

/** The colour at a place from 0 to 1; beyond them the ends, for NaN magenta, which no map has. */
export function colourAt(map: ColourMap, place: number): Colour {
  if (Number.isNaN(place)) return [255, 0, 255];
  const colours = maps[map];
  const position = Math.min(Math.max(place, 0), 1) * (colours.length - 1);
  const index = Math.min(Math.floor(position), colours.length - 2);
  const [low, high] = [colours[index]!, colours[index + 1]!];
  const mix = (channel: 0 | 1 | 2) => Math.round(low[channel] + (position - index) * (high[channel] - low[channel]));
  return [mix(0), mix(1), mix(2)];
}
