// Below the box: filters as chips, what could be meant, and searches of before. All of them are buttons.

import { fold, parts } from './query.js';
import { ask, make, memory, shown } from './text.js';

const MOST = 10;

let asked = null;

/** How a filter is compared with the gateway's way of writing it. */
const plain = (text) => {
  const [, field, values] = /^(-?[^:]*:)(.*)$/s.exec(fold(text).replaceAll('"', '')) ?? [null, fold(text), ''];
  return field + values.split(',').sort().join(',');
};

/** Chips of a line's filters: the word edits it in the box, the cross takes it away. The rest stays as it is. */
export function chips(place, box, change) {
  const line = box.value;
  const filters = parts(line).filter((part) => part.field || part.negated);
  place.replaceChildren(...filters.map((part) => {
    const text = shown(part.text);
    const edit = make('button', { type: 'button', className: 'edit', title: 'Change this filter' }, make('bdi', {}, text), make('small', {}));
    edit.addEventListener('click', () => {
      box.focus();
      box.setSelectionRange(part.to - part.value.length, part.to);
    });
    const away = make('button', { type: 'button', className: 'x', title: 'Take this filter away', 'aria-label': `remove ${text}` }, '×');
    away.addEventListener('click', () => change(`${line.slice(0, part.from)}${line.slice(part.to)}`.replace(/\s+/g, ' ').trim()));
    const chip = make('span', { className: `chip${part.negated ? ' not' : ''}` }, edit, away);
    chip.dataset.term = plain(part.text);
    return chip;
  }));
}

/** How many known agents fulfil each filter by itself. */
export function count(place, terms) {
  const known = new Map(terms.map((term) => [plain(term.term), term.agents]));
  for (const chip of place.querySelectorAll('.chip')) {
    const agents = known.get(chip.dataset.term);
    chip.querySelector('small').textContent = agents === undefined ? '' : ` ${agents.toLocaleString()}`;
    chip.firstChild.title = agents === undefined ? 'Change this filter' : `${agents.toLocaleString()} agents by itself. Change this filter`;
  }
}

/** What could be meant by the line as it stands; an empty one is answered from memory. */
export async function ideas(place, line, change) {
  asked?.abort();
  asked = new AbortController();
  if (line.trim() === '') {
    place.replaceChildren(...remembered(change));
    place.dataset.line = '';
    return;
  }
  try {
    const { completions } = await ask(`api/v1/suggest?${new URLSearchParams({ q: line })}`, { signal: asked.signal, patience: 3000 });
    place.replaceChildren(...completions.filter((one) => one.search !== line).slice(0, MOST).map(({ kind, text, search }) =>
      idea(text, () => change(kind === 'field' ? search : `${search} `))));
    place.dataset.line = line;
  } catch {
    // Suggestions are a convenience; errors of the line are shown by the search itself.
  }
}

function idea(text, pick) {
  const button = make('button', { type: 'button', className: 'idea' }, make('bdi', {}, shown(text).slice(0, 60)));
  button.addEventListener('click', pick);
  return button;
}

function remembered(change) {
  const [saved, recent] = [memory.get('saved', []), memory.get('recent', [])];
  const list = (title, lines, forget) => (lines.length === 0 ? [] : [make('span', { className: 'faint' }, title),
    ...lines.flatMap((line) => [idea(line, () => change(line)), forget ? forget(line) : null].filter(Boolean))]);
  const forget = (line) => {
    const button = make('button', { type: 'button', className: 'x', title: 'Forget it', 'aria-label': `forget ${shown(line)}` }, '×');
    button.addEventListener('click', () => {
      memory.set('saved', memory.get('saved', []).filter((other) => other !== line));
      change('');
    });
    return button;
  };
  const fresh = recent.filter((line) => !saved.includes(line)).slice(0, 6);
  return [...list('Saved', saved, forget), ...list('Recent', fresh), ...list('Try', ['status:critical,warning', 'status:unknown', 'alert:fired'])];
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
