// Keys that work on every page, and the list of all of them.

import { base, make } from './text.js';

const KEYS = [
  ['/', 'to the search box, from anywhere'],
  ['Esc', 'close what is open; in the box: clear it'],
  ['→', 'at the end of the line: take the first suggestion'],
  ['j  k  ↓  ↑', 'next and previous row (the arrows from the box too)'],
  ['Enter', 'open the chosen row, o: in its own console'],
  ['Home  End', 'first and last row'],
  ['r', 'ask all sites again now'],
  ['s', 'stop waiting for late sites'],
  ['g h  g s  g w', 'go to search, sites, wall: one key after the other'],
  ['?', 'this list'],
];

let dialog = null;
let going = 0;

export function typing(event) {
  const where = event.target;
  return where instanceof HTMLElement && (where.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(where.tagName));
}

function help() {
  if (!dialog) {
    const rows = KEYS.map(([keys, what]) =>
      make('tr', {}, make('th', { scope: 'row' }, ...keys.split('  ').flatMap((key) => [make('kbd', {}, key), ' '])), make('td', {}, what)));
    const close = make('button', { type: 'button', autofocus: true }, 'Close');
    dialog = make('dialog', { id: 'keys', 'aria-labelledby': 'keys-title' },
      make('h2', { id: 'keys-title' }, 'Keys'), make('table', { className: 'plain' }, make('tbody', {}, ...rows)), close);
    close.addEventListener('click', () => dialog.close());
    document.body.append(dialog);
  }
  if (dialog.open) dialog.close();
  else dialog.showModal();
}

document.getElementById('help').addEventListener('click', help);
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.key === 'Escape') {
    for (const open of document.querySelectorAll('details[open]')) open.open = false;
    return;
  }
  if (typing(event) || (dialog?.open && event.key !== '?')) return;
  if (event.key === '?') {
    event.preventDefault();
    help();
  } else if (event.key === '/') {
    event.preventDefault();
    const box = document.getElementById('q');
    if (box) {
      box.focus();
      box.select();
    } else location.href = base;
  } else if (event.key === 'g') {
    going = Date.now();
  } else if (Date.now() - going < 1500) {
    going = 0;
    const to = { h: '', s: 'sites', w: 'wall' }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      location.href = base + to;
    }
  }
});
