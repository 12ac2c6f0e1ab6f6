// The wall: a running clock, what is new in the last ten minutes, and a frame that is loud when the gateway is lost.

import { keep } from './swap.js';
import { clock, memory } from './text.js';

const NEW = 10 * 60 * 1000;
const begun = Date.now();
// A screen that loads the page again, after an update or a cut of the power, goes on with what it knew.
const KEPT = `wall ${location.search}`;
const kept = memory.get(KEPT, null);
const goesOn = kept !== null && begun - kept.at < NEW;
const seen = new Map(goesOn ? kept.seen : []);
let hadMore = false;

/** Marks rows that were not there when the screen was switched on. */
function mark() {
  const now = Date.now();
  const here = new Set();
  const rows = [...document.querySelectorAll('[data-key]')];
  const known = rows.findLastIndex((row) => seen.has(row.dataset.key));
  for (const [place, row] of rows.entries()) {
    const key = row.dataset.key;
    here.add(key);
    // What stood there when the screen was switched on may have stood there for long.
    // What follows at the end of a long list was there before, uncounted.
    const old = (!goesOn && now - begun < 15000) || (hadMore && place > known);
    if (!seen.has(key)) seen.set(key, old ? 0 : now);
    const isNew = now - seen.get(key) < NEW;
    row.classList.toggle('new', isNew);
    if (isNew && !row.querySelector('.newly')) {
      const sign = document.createElement('span');
      sign.className = 'newly';
      sign.textContent = 'new';
      row.querySelector('.who').append(' ', sign);
    }
  }
  hadMore = Number(document.getElementById('more').dataset.more) > 0;
  fit();
  for (const key of seen.keys()) if (!here.has(key)) seen.delete(key);
  memory.set(KEPT, { at: now, seen: [...seen] });
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
