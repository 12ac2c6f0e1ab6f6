// The wall: a running clock, what is new in the last ten minutes, and a frame that is loud when the gateway is lost.

import { keep } from './swap.js';
import { clock } from './text.js';

const NEW = 10 * 60 * 1000;
const begun = Date.now();
const seen = new Map();

/** Marks rows that were not there when the screen was switched on. */
function mark() {
  const now = Date.now();
  const here = new Set();
  for (const row of document.querySelectorAll('[data-key]')) {
    const key = row.dataset.key;
    here.add(key);
    // What stood there at first may have stood there for long.
    if (!seen.has(key)) seen.set(key, now - begun < 15000 ? 0 : now);
    const isNew = now - seen.get(key) < NEW;
    row.classList.toggle('new', isNew);
    if (isNew && !row.querySelector('.newly')) {
      const sign = document.createElement('span');
      sign.className = 'newly';
      sign.textContent = 'new';
      row.querySelector('.who').append(' ', sign);
    }
  }
  fit();
  for (const key of seen.keys()) if (!here.has(key)) seen.delete(key);
  tick();
}

/** A wall does not scroll: rows that do not fit are counted instead. */
function fit() {
  const rows = [...document.querySelectorAll('[data-key]')];
  for (const row of rows) row.hidden = false;
  if (innerWidth < 720) return;
  const room = innerHeight - document.querySelector('footer').offsetHeight - 70;
  let out = 0;
  for (const row of rows) if (row.getBoundingClientRect().bottom + scrollY > room) out += 1;
  for (const row of rows.slice(rows.length - out)) row.hidden = true;
  const more = document.getElementById('more');
  const total = Number(more.dataset.more) + out;
  more.hidden = total === 0;
  more.firstElementChild.textContent = `and ${total.toLocaleString()} more`;
}

function tick() {
  const place = document.getElementById('wallclock');
  if (place) place.textContent = clock(Date.now());
  const oldest = document.querySelector('.when time');
  if (oldest) oldest.textContent = clock(oldest.dateTime);
}

mark();
keep(mark);
setInterval(tick, 1000);
addEventListener('resize', fit);
// Screens on walls stay on where the browser lets us ask for it.
navigator.wakeLock?.request('screen').catch(() => {});
