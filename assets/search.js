// The search: what is typed becomes a stream, its records become rows. The address of the page is its state.

import { Deep, MOST, PAGE } from './deep.js';
import { learn } from './doors.js';
import { files } from './files.js';
import { ended, heard } from './frame.js';
import { typing } from './keys.js';
import { Merge, TOP } from './merge.js';
import { COLUMNS } from './rows.js';
import { stream } from './stream.js';
import { chips, count, ideas, remember, save } from './strip.js';
import { Table } from './table.js';
import { ask, base, make, memory, visit } from './text.js';
import { below, forget, mistake, silent, statuses, tell, trouble } from './told.js';

const at = (id) => document.getElementById(id);
const box = at('q');
const refresh = Number(document.documentElement.dataset.refresh);

/** A search that has brought nothing for so long is told to be silent. */
const SILENT = 7000;

/** After an answer that did not come whole it is asked for again so soon. */
const AGAIN = 5000;

let sort = at('sort').value;
let sites = [];
let merge = null;
let running = null;
let drawing = 0;
let timer = 0;
let typed = 0;
let counting = 0;
let hinting = 0;
let stopped = false;
let error = false;
let states = '';
let begun = 0;
let rowsAt = 0;
let back = visit.come();

if (back && !location.search) history.replaceState({}, '', back.address);
if (back) {
  const all = new URLSearchParams(location.search);
  box.value = all.get('q') ?? '';
  sort = all.get('sort') ?? '';
}

const table = new Table(at('rows'), {
  sorted: (order) => {
    sort = order;
    at('sort').value = sort;
    remain(true);
    run();
  },
  more: (from, to) => {
    if (!merge || (running && !merge.summary) || (deep.pages.length === 0 && to <= merge.rows().length)) return;
    deep.total ||= merge.total();
    deep.want(from, to);
  },
  most: MOST,
});

const deep = new Deep(
  (cursor, signal) => ask(`api/v1/search?${parameters(cursor ? { limit: PAGE, cursor } : { limit: PAGE })}`, { patience: 30000, signal }),
  () => later(),
);

/** The order in force: nothing looked for means what is worst. */
const order = () => sort || (box.value.trim() === '' ? 'status' : 'rank');

function parameters(more = {}) {
  const all = new URLSearchParams({ q: box.value, ...more });
  if (order() !== 'rank') all.set('sort', order());
  return all;
}

/** Writes the state into the address; a new step of history where the search is another. */
function remain(step) {
  const all = new URLSearchParams();
  if (box.value !== '') all.set('q', box.value);
  if (sort) all.set('sort', sort);
  const address = all.size > 0 ? `${base}?${all}` : base;
  if (address === location.pathname + location.search) return;
  history[step ? 'pushState' : 'replaceState']({}, '', address);
}

/** Asks; what is running is left alone no longer. */
async function run({ fresh = false, again = false } = {}) {
  running?.abort();
  clearTimeout(timer);
  const mine = new AbortController();
  const next = new Merge(box.value, order());
  running = mine;
  stopped = false;
  if (!again) {
    deep.reset();
    table.chosen = -1;
    if (!back && scrollY > 0) scrollTo(0, 0);
  }
  let first = !again;
  let failed = false;
  at('rows').setAttribute('aria-busy', 'true');
  begun = Date.now();
  const start = performance.now();
  try {
    await stream(parameters(fresh ? { limit: TOP, fresh: 1 } : { limit: TOP }), (record) => {
      if (mine.signal.aborted) return;
      next.take(record);
      // Rows of before stay until there is something to put in their place.
      if (first || record.summary || next.sites.size >= (merge?.sites.size ?? 0)) merge = next;
      first = false;
      begun = 0;
      rowsAt = Date.now();
      if (error) wrong(null);
      later();
      heard();
    }, mine.signal);
    merge = next;
    deep.old();
    if (merge.total() > 0) settle();
    clearTimeout(counting);
    counting = setTimeout(explain, 300);
  } catch (problem) {
    if (mine.signal.aborted) return;
    failed = true;
    if (problem?.code === 'signed_out') trouble('You are logged out. The rows are of before.');
    else if (problem?.code && problem.code !== 'cut') wrong(problem);
    else trouble('The answer did not come whole: the gateway was lost on the way.');
  } finally {
    if (running === mine) {
      running = null;
      begun = 0;
      at('rows').setAttribute('aria-busy', 'false');
      if (!failed) later();
      performance.measure('answer', { start });
      wait(failed ? Math.min(AGAIN, refresh) : refresh);
    }
  }
}

function wrong(problem) {
  error = Boolean(problem);
  mistake(box, problem, Boolean(merge));
}

/** A visible page asks again. */
function wait(pause = refresh) {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(() => run({ again: true }), pause);
}

/** A search that people stayed with is remembered. */
function settle() {
  clearTimeout(settle.timer);
  const line = box.value;
  settle.timer = setTimeout(() => line === box.value && remember(line), 2500);
}

/** How many agents each filter finds by itself; of what is known. */
async function explain() {
  const line = box.value;
  if (document.hidden || !at('chips').firstChild) return;
  try {
    const answer = await ask(`api/v1/search?${parameters({ limit: 1, explain: 1, max_age: '1h' })}`, { patience: 5000 });
    if (line === box.value) count(at('chips'), answer.explain.terms);
  } catch {
    // The chips do without.
  }
}

function later() {
  if (drawing) return;
  drawing = requestAnimationFrame(() => {
    drawing = 0;
    draw();
  });
}

function draw() {
  if (!merge) return;
  const rows = merge.rows();
  const total = merge.total();
  if (deep.rows().length > rows.length) {
    const now = new Map(rows.map((agent) => [`${agent.site}/${agent.id}`, agent]));
    table.show(deep.rows().map((agent) => now.get(`${agent.site}/${agent.id}`) ?? agent), deep.total, order());
  } else if (rows.length > 0 || !running || merge.summary || merge.sites.size >= sites.length) {
    table.show(rows, total, order());
  }
  tell(merge, sites.length > 0 ? sites.map((site) => site.id) : [...merge.sites.keys()], { line: box.value, running, stopped });
  statuses(merge.counts(), box.value, set);
  below(deep, MOST);
  performance.mark('rows-painted');
  if (back && total > 0) {
    // Whoever comes back finds the place they left.
    const { top, chosen } = back;
    back = null;
    scrollTo(0, top);
    table.chosen = chosen;
    table.draw();
  }
}

/** Every change of the line. */
function changed(step) {
  clearTimeout(typed);
  chips(at('chips'), box, set);
  // Not at every key of somebody who types on: the rows come first.
  clearTimeout(hinting);
  if (!at('ideas').dataset.line !== (box.value.trim() === '')) at('ideas').replaceChildren();
  hinting = setTimeout(() => ideas(at('ideas'), box.value, set), box.value.trim() === '' ? 0 : 120);
  typed = setTimeout(() => remain(false), 200);
  if (step) remain(true);
  run();
}

/** Another line, by a chip or a suggestion. */
function set(line) {
  box.value = line;
  changed(true);
  box.focus();
}

function options() {
  const boxes = COLUMNS.map(([id, title]) => {
    const input = make('input', { type: 'checkbox', checked: table.columns.has(id), disabled: id === 'alias' });
    input.addEventListener('change', () => table.setColumn(id, input.checked));
    return make('label', {}, input, ` ${title}`);
  });
  at('columns').append(...boxes);
  for (const input of at('density').querySelectorAll('input')) {
    input.checked = input.value === table.density;
    input.addEventListener('change', () => table.setDensity(input.value));
  }
  at('together').checked = table.together;
  at('together').addEventListener('change', () => table.setTogether(at('together').checked));
  files(() => parameters(), wrong);
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || document.querySelector('dialog[open]')) return;
  const inBox = event.target === box;
  if (typing(event) && !inBox) return;
  const onButton = event.target.closest?.('a, button, summary');
  const by = { ArrowDown: 1, ArrowUp: -1, ...(inBox ? {} : { j: 1, k: -1 }) }[event.key];
  const idea = at('ideas').querySelector('.idea');
  if (by) {
    event.preventDefault();
    table.choose(table.chosen < 0 && by < 0 ? 0 : table.chosen + by);
  } else if (event.key === 'Enter' && !onButton) {
    event.preventDefault();
    if (table.chosen >= 0) {
      remain(false);
      table.open(false);
    }
    if (table.chosen < 0 && inBox) changed(true);
  } else if (inBox && event.key === 'Escape' && box.value !== '') {
    event.preventDefault();
    set('');
  } else if (inBox && event.key === 'ArrowRight' && idea && at('ideas').dataset.line === box.value && box.selectionStart === box.value.length) {
    event.preventDefault();
    idea.click();
  } else if (!inBox && !onButton && event.key === 'Home') {
    event.preventDefault();
    table.choose(0);
  } else if (!inBox && !onButton && event.key === 'End') {
    event.preventDefault();
    table.choose(Infinity);
  } else if (!inBox && event.key === 'o') table.open(true);
  else if (!inBox && event.key === 'r') run({ fresh: true, again: true });
  else if (!inBox && event.key === 's') stop();
}

function stop() {
  if (!running) return;
  stopped = true;
  const mine = running;
  running = null;
  begun = 0;
  mine.abort();
  at('rows').setAttribute('aria-busy', 'false');
  draw();
  wait();
}

box.addEventListener('input', () => changed(false));
at('ask').addEventListener('submit', (event) => {
  event.preventDefault();
  changed(true);
});
at('save').addEventListener('click', () => {
  if (save(box.value)) at('save').textContent = 'Saved';
  setTimeout(() => (at('save').textContent = 'Save'), 1500);
});
at('again').addEventListener('click', () => run({ fresh: true, again: true }));
at('stop').addEventListener('click', stop);
document.addEventListener('keydown', keys);
// Whoever leaves comes back to this very search.
document.addEventListener('click', (event) => event.target.closest('a') && remain(false), true);
addEventListener('pagehide', () => {
  remain(false);
  visit.leave({ top: scrollY, chosen: table.chosen, login: ended() });
});
addEventListener('popstate', () => {
  const all = new URLSearchParams(location.search);
  box.value = all.get('q') ?? '';
  sort = all.get('sort') ?? '';
  changed(false);
});
document.addEventListener('visibilitychange', () => {
  if (document.hidden) clearTimeout(timer);
  else run({ again: true });
});
document.addEventListener('session-back', () => {
  names();
  run({ again: true });
});
document.addEventListener('pulse', async ({ detail }) => {
  const total = Object.values(detail.sites).reduce((sum, number) => sum + number, 0);
  // A site that has come back, or gone, is a reason to look again before it is time.
  const now = JSON.stringify([detail.sites.ok, detail.sites.failed, detail.sites.stale, detail.trouble.map((site) => site.id)]);
  const changes = states !== '' && states !== now;
  states = now;
  if (total !== sites.length) await names();
  if (changes && !running && !stopped && !document.hidden) run({ again: true });
});
setInterval(() => {
  const waited = begun === 0 || document.hidden ? 0 : Date.now() - begun;
  if (waited > SILENT && !ended()) silent(waited, rowsAt);
}, 1000);

async function names() {
  try {
    sites = (await ask('api/v1/sites')).sites.map(({ id, name }) => ({ id, name }));
    await learn(sites);
    forget();
    table.anew();
    if (merge) later();
  } catch {
    // The pulse tells when the gateway is lost.
  }
}

at('rows').after(make('p', { id: 'rest', className: 'rest', hidden: true }));
// Who comes with a search goes on typing behind it.
if (document.activeElement === box) box.setSelectionRange(box.value.length, box.value.length);
options();
names();
changed(false);
if (memory.get('density', null)) table.setDensity(table.density);
