// A small picture of a module's values: a line in a frame, its lowest and highest named.

import { make } from './text.js';

const SVG = 'http://www.w3.org/2000/svg';
const [WIDTH, HEIGHT] = [220, 36];

function part(name, properties, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(properties)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const short = (value) => (Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-2) ? value.toExponential(1) : String(Math.round(value * 100) / 100));

/** Points as [time in milliseconds, value]; a silence of more than a twelfth of the time is a gap, not a line. */
export function chart(points, from, to, label) {
  const known = points.filter(([time, value]) => Number.isFinite(time) && Number.isFinite(value)).sort((a, b) => a[0] - b[0]);
  if (known.length === 0) return make('span', { className: 'faint' }, 'no values');
  const values = known.map((point) => point[1]);
  const [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
  const x = (time) => (((time - from) / (to - from)) * WIDTH).toFixed(1);
  const y = (value) => (high === low ? HEIGHT / 2 : 3 + (1 - (value - low) / (high - low)) * (HEIGHT - 6)).toFixed(1);
  let path = '';
  known.forEach(([time, value], place) => {
    const gap = place === 0 || time - known[place - 1][0] > (to - from) / 12;
    path += `${gap ? 'M' : 'L'}${x(time)} ${y(value)}`;
  });
  const words = `${label}: ${short(low)} to ${short(high)}, now ${short(values.at(-1))}`;
  const picture = part('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': words, class: 'line' },
    part('title', {}, words), part('path', { d: path }),
    part('circle', { cx: x(known.at(-1)[0]), cy: y(values.at(-1)), r: '2' }));
  return make('span', { className: 'chartbox' }, picture, make('small', { className: 'faint' }, `${short(low)} – ${short(high)}`));
}
