// Below the box: filters as chips, what could be meant, and searches of before. All of them are buttons.

import { parts } from './query.js';
import { ask, make, memory, shown } from './text.js';

const FIELDS = ['status:', 'site:', 'tag:', 'group:', 'os:', 'ip:', 'name:', 'alias:', 'age:', 'alert:'];
const VALUES = { 'status:': ['critical', 'warning', 'unknown', 'normal', 'not_init'], 'alert:': ['fired'], 'age:': ['>10m', '>1h', '>1d'] };
const MOST = 10;

let asked = null;

/** Chips of a line's filters; one taken away leaves the rest as it is. */
export function chips(place, line, change) {
  const filters = parts(line).filter((part) => part.field || part.negated);
  place.replaceChildren(...filters.map((part) => {
    const chip = make('button', { type: 'button', className: `chip${part.negated ? ' not' : ''}`, title: 'Take this filter away' },
      make('bdi', {}, shown(part.text)), make('span', { className: 'x', 'aria-hidden': 'true' }, ' ×'), make('span', { className: 'unseen' }, ' remove'));
    chip.addEventListener('click', () => change(`${line.slice(0, part.from)}${line.slice(part.to)}`.replace(/\s+/g, ' ').trim()));
    return chip;
  }));
}

/** What could be meant by the line as it stands; an empty one is answered from memory. */
export async function ideas(place, line, sites, change) {
  asked?.abort();
  asked = new AbortController();
  if (line.trim() === '') {
    place.replaceChildren(...remembered(change));
    return;
  }
  const last = parts(line).at(-1);
  const open = last && last.to === line.length ? last : null;
  const own = open ? completions(open, sites) : [];
  show(place, line, open, own, [], change);
  if (!open || open.field) return;
  try {
    const answer = await ask(`api/v1/suggest?${new URLSearchParams({ q: line })}`, { signal: asked.signal, patience: 3000 });
    const texts = answer.suggestions.map((one) => (typeof one === 'string' ? one : one.text ?? one.value ?? one.alias)).filter((text) => typeof text === 'string');
    show(place, line, open, own, texts, change);
  } catch {
    // Suggestions are a convenience; errors of the line are shown by the search itself.
  }
}

function completions(part, sites) {
  const text = part.text.replace(/^-/, '').toLowerCase();
  const field = FIELDS.find((field) => text.startsWith(field));
  if (!field) return text.length > 0 ? FIELDS.filter((field) => field.startsWith(text)) : [];
  const before = text.slice(0, Math.max(text.lastIndexOf(','), field.length - 1) + 1);
  const typed = text.slice(before.length);
  const known = field === 'site:' ? sites.map((site) => site.id) : field === 'tag:' ? [...new Set(sites.flatMap((site) => site.tags ?? []))] : VALUES[field] ?? [];
  return known.filter((value) => value.toLowerCase().startsWith(typed) && value.toLowerCase() !== typed).map((value) => before + quoted(value));
}

const quoted = (text) => (/^[\w.\-:,>]+$/.test(text) ? text : `"${text.replaceAll('"', ' ').trim()}"`);

function show(place, line, open, own, texts, change) {
  const from = open ? open.from + (open.negated ? 1 : 0) : line.length;
  const buttons = own.slice(0, MOST).map((text) => idea(text, () => change(`${line.slice(0, from)}${text}${text.endsWith(':') ? '' : ' '}`)));
  const names = texts.slice(0, MOST - buttons.length).map((text) => idea(text, () => change(`${line.slice(0, from)}${quoted(text)} `)));
  place.replaceChildren(...buttons, ...names);
}

function idea(text, pick) {
  const button = make('button', { type: 'button', className: 'idea' }, make('bdi', {}, shown(text).slice(0, 60)));
  button.addEventListener('click', pick);
  return button;
}

function remembered(change) {
  const [saved, recent] = [memory.get('saved', []), memory.get('recent', [])];
  const list = (title, lines, forget) => (lines.length === 0 ? [] : [make('span', { className: 'faint' }, `${title} `),
    ...lines.flatMap((line) => [idea(line, () => change(line)), forget ? forget(line) : null].filter(Boolean))]);
  const forget = (line) => {
    const button = make('button', { type: 'button', className: 'x', title: 'Forget it', 'aria-label': `forget ${shown(line)}` }, '×');
    button.addEventListener('click', () => {
      memory.set('saved', memory.get('saved', []).filter((other) => other !== line));
      change('');
    });
    return button;
  };
  const first = [['Problems', 'status:critical,warning'], ['Silent', 'status:unknown']].map(([, line]) => line);
  return [...list('Saved', saved, forget), ...list('Recent', recent.slice(0, 6)), ...list('Try', first)];
}

/** A search that brought something is remembered. */
export function remember(line) {
  const text = line.trim();
  if (text === '') return;
  const recent = memory.get('recent', []).filter((other) => other !== text && !text.startsWith(other));
  memory.set('recent', [text, ...recent].slice(0, 20));
}

/** Kept until it is forgotten by hand. */
export function save(line) {
  const text = line.trim();
  if (text !== '') memory.set('saved', [text, ...memory.get('saved', []).filter((other) => other !== text)].slice(0, 30));
  return text !== '';
}
