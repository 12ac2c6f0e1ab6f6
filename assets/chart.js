// A small picture of a module's values: a line that breaks where nothing came, its lowest and highest named.

import { make, shown } from './text.js';

const SVG = 'http://www.w3.org/2000/svg';
const [WIDTH, HEIGHT, EDGE] = [220, 36, 3];

function part(name, properties, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(properties)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** A number the way it is read. */
export function number(value) {
  const size = Math.abs(value);
  if (size >= 1e12 || (size !== 0 && size < 1e-3)) return value.toExponential(2);
  return value.toLocaleString(undefined, { maximumFractionDigits: size < 1 ? 4 : 2 });
}

/** Of many values in one column of the picture its first, lowest, highest and last: the line looks the same. */
function thinned(points, column) {
  const kept = [];
  for (let from = 0; from < points.length;) {
    let to = from + 1;
    while (to < points.length && column(points[to]) === column(points[from])) to += 1;
    const some = points.slice(from, to);
    const by = (better) => some.reduce((a, b) => (better(b[1], a[1]) ? b : a));
    const ends = [some[0], by((a, b) => a < b), by((a, b) => a > b), some.at(-1)];
    kept.push(...[...new Set(ends)].sort((a, b) => a[0] - b[0]));
    from = to;
  }
  return kept;
}

/**
 * Points as [time in milliseconds, value]. A silence of more than three times `interval` (milliseconds; where it is not
 * known, of a twelfth of the time) is a gap. Nothing is drawn after `until`, when the module last reported: what a site
 * fills in behind it was never measured. `limits` are drawn where they lie within the values.
 */
export function chart(points, from, to, { label = '', interval = 0, until = Infinity, limits = [] } = {}) {
  const within = ([time, value]) => Number.isFinite(value) && time >= from && time <= Math.min(to, until);
  const known = points.filter(within).sort((a, b) => a[0] - b[0]);
  if (known.length === 0) return make('span', { className: 'faint' }, 'no values');
  const values = known.map((point) => point[1]);
  const [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
  const x = (time) => (((time - from) / (to - from)) * WIDTH).toFixed(1);
  // By halves: the distance of two large numbers may be larger than any number.
  const y = (value) => (high === low ? HEIGHT / 2 : EDGE + (1 - (value / 2 - low / 2) / (high / 2 - low / 2)) * (HEIGHT - 2 * EDGE)).toFixed(1);
  const silence = Math.max(3 * interval || (to - from) / 12, (2 * (to - from)) / WIDTH);
  const runs = [];
  thinned(known, ([time]) => Math.floor(((time - from) / (to - from)) * WIDTH)).forEach((point, place, all) => {
    if (place === 0 || point[0] - all[place - 1][0] > silence) runs.push([]);
    runs.at(-1).push(point);
  });
  // A value that stands alone is a dot: a line of no length with round ends.
  const line = runs.map((run) => `M${run.map(([time, value]) => `${x(time)} ${y(value)}`).join('L')}${run.length === 1 ? 'h0' : ''}`).join('');
  const area = runs.filter((run) => run.length > 1)
    .map((run) => `M${x(run[0][0])} ${HEIGHT}L${run.map(([time, value]) => `${x(time)} ${y(value)}`).join('L')}L${x(run.at(-1)[0])} ${HEIGHT}Z`).join('');
  const gaps = runs.length > 1 ? `, ${runs.length - 1} ${runs.length === 2 ? 'gap' : 'gaps'}` : '';
  const words = `${shown(label)}: ${number(low)} to ${number(high)}, last ${number(values.at(-1))}${gaps}`;
  const lines = limits.filter(([, at]) => at > low && at < high)
    .map(([kind, at]) => part('path', { d: `M0 ${y(at)}H${WIDTH}`, class: `limit ${kind}` }));
  const picture = part('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': words, class: 'line' },
    part('title', {}, words), part('path', { d: area, class: 'area' }), ...lines, part('path', { d: line, class: 'values' }));
  return make('span', { className: 'chartbox' }, picture,
    make('small', { className: 'scale', 'aria-hidden': 'true' }, make('span', {}, number(high)), make('span', {}, low === high ? '' : number(low))));
}
