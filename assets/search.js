// The search: what is typed becomes a stream, its records become rows. The address of the page is its state.

import { heard } from './frame.js';
import { typing } from './keys.js';
import { Merge, TOP } from './merge.js';
import { COLUMNS } from './rows.js';
import { stream } from './stream.js';
import { chips, ideas, remember, save } from './strip.js';
import { Table } from './table.js';
import { ask, base, clock, make, memory, shown, sitePage, siteSign } from './text.js';

const at = (id) => document.getElementById(id);
const box = at('q');
const refresh = Number(document.documentElement.dataset.refresh);

/** Rows of one page when the table is scrolled beyond what the stream has brought. */
const PAGE = 1000;

let sort = at('sort').value;
let sites = [];
let merge = null;
let running = null;
let drawing = 0;
let timer = 0;
let typed = 0;
let deep = null;
let stopped = false;
let error = null;
let told = '';
let states = '';
let saying = 0;

const table = new Table(at('rows'), {
  sorted: (order) => {
    sort = order;
    at('sort').value = sort;
    remain(true);
    run();
  },
  more,
});

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
  at('rest').hidden = true;
  if (!again) deep = null;
  let first = !again;
  at('rows').setAttribute('aria-busy', 'true');
  const begun = performance.now();
  try {
    await stream(parameters(fresh ? { limit: TOP, fresh: 1 } : { limit: TOP }), (record) => {
      if (mine.signal.aborted) return;
      next.take(record);
      // Rows of before stay until there is something to put in their place.
      if (first || record.summary || next.sites.size >= (merge?.sites.size ?? 0)) merge = next;
      first = false;
      if (error) mistake(null);
      later();
      heard();
    }, mine.signal);
    merge = next;
    if (merge.total() > 0) settle();
  } catch (problem) {
    if (mine.signal.aborted) return;
    if (problem?.code && problem.code !== 'cut') {
      mistake(problem);
    } else {
      told = '';
      at('status').textContent = 'The answer did not come whole: the gateway was lost on the way.';
      at('state').classList.add('partial');
    }
  } finally {
    if (running === mine) {
      running = null;
      at('rows').setAttribute('aria-busy', 'false');
      later();
      performance.measure('answer', { start: begun });
      wait();
    }
  }
}

/** A visible page asks again. */
function wait() {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(() => run({ again: true }), refresh);
}

/** A search that people stayed with is remembered. */
function settle() {
  clearTimeout(settle.timer);
  const line = box.value;
  settle.timer = setTimeout(() => line === box.value && remember(line), 2500);
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
  if (deep && deep.length > rows.length) {
    const now = new Map(rows.map((agent) => [`${agent.site}/${agent.id}`, agent]));
    deep = deep.map((agent) => now.get(`${agent.site}/${agent.id}`) ?? agent);
    table.show(deep, total, order());
  } else if (rows.length > 0 || !running || merge.summary || merge.sites.size >= sites.length) {
    table.show(rows, total, order());
  }
  tell(total);
  performance.mark('rows-painted');
}

/** The sentences above the table: how many, who is late, who is missing and since when. */
function tell(total) {
  const all = sites.length > 0 ? sites.map((site) => site.id) : [...merge.sites.keys()];
  const late = running || stopped ? merge.late(all) : [];
  const outcomes = merge.outcomes().filter((outcome) => !late.includes(outcome.id));
  const failed = outcomes.filter((outcome) => outcome.outcome === 'failed');
  const old = outcomes.filter((outcome) => outcome.outcome === 'stale');
  const parts = [];
  const missing = failed.length + late.length;
  if (total > 0) parts.push(`${total.toLocaleString()} ${total === 1 ? 'agent' : 'agents'}`);
  else if (missing > 0) parts.push('No rows from the sites that answered');
  else if (merge.summary || !running) parts.push(old.length > 0 ? 'No rows as of when all sites were last read' : 'No agent on any site matches');
  const lack = [];
  if (late.length > 0) lack.push(`${late.length} of ${all.length} sites late${stopped ? ', not waited for' : ''}`);
  if (failed.length > 0) lack.push(`${failed.length} of ${all.length} sites missing`);
  const oldRows = old.reduce((sum, outcome) => sum + outcome.rows, 0);
  if (old.length > 0) lack.push(`${oldRows.toLocaleString()} rows of ${old.length} ${old.length === 1 ? 'site' : 'sites'} old`);
  const sentence = [...parts, ...lack].join('; ');
  if (told !== sentence) {
    told = sentence;
    // Heard only when it has stood for a moment: not at every key, not for every site.
    clearTimeout(saying);
    saying = setTimeout(() => (at('said').textContent = sentence), 800);
    document.title = `${missing > 0 ? '! ' : ''}${total.toLocaleString()} · ${shown(box.value) || 'Search'} · Metaconsole`;
    at('status').replaceChildren(parts.join('; '), ...(lack.length > 0 ? ['; ', make('span', { className: 'lack' }, lack.join('; '))] : []), '.');
  }
  at('state').className = `state${failed.length > 0 || stopped ? ' partial' : old.length > 0 ? ' old' : late.length > 0 ? ' waiting' : ''}`;
  const why = (outcome) => (outcome.error ? `: ${shown(outcome.error.message)}, since ${clock(outcome.error.since)}` : '');
  const link = (id) => make('a', { href: sitePage(id) }, shown(id));
  const lines = [
    ...failed.map((outcome) => make('li', {}, siteSign('failed', 'missing'), ' ', link(outcome.id), why(outcome))),
    ...old.map((outcome) => make('li', {}, siteSign('stale', 'old rows'), ' ', link(outcome.id),
      ` ${outcome.rows} as of ${clock(Date.now() - (outcome.age_ms ?? 0))}${why(outcome)}`)),
    ...late.map((id) => make('li', {}, siteSign('unread', 'late'), ' ', link(id))),
  ];
  const place = at('missing');
  place.hidden = lines.length === 0;
  const most = 5;
  const list = make('ul', {}, ...lines.slice(0, most));
  if (lines.length > most) {
    const rest = make('details', { open: place.querySelector('details')?.open }, make('summary', {}, `and ${lines.length - most} more`), make('ul', {}, ...lines.slice(most)));
    place.replaceChildren(list, rest);
  } else place.replaceChildren(list);
  at('stop').hidden = !(running && late.length > 0);
  const bar = at('progress');
  bar.hidden = !running || all.length === 0 || late.length === 0;
  bar.firstElementChild.style.width = `${all.length ? (100 * (all.length - late.length)) / all.length : 0}%`;
}

/** A mistake in the line, under the line, with its place. */
function mistake(problem) {
  error = problem;
  const place = at('mistake');
  box.setAttribute('aria-invalid', problem ? 'true' : 'false');
  if (!problem) {
    place.replaceChildren();
    return;
  }
  const pointer = [];
  if (problem.position) {
    const letters = [...box.value];
    const from = Math.min(problem.position - 1, letters.length);
    const start = Math.max(0, from - 60);
    const word = /^[^\s]*/u.exec(letters.slice(from).join(''))[0];
    const tail = letters.slice(from).join('').slice(word.length);
    pointer.push(make('pre', { className: 'pointer' }, shown(letters.slice(start, from).join('')),
      make('mark', {}, shown(word) || ' '), shown(tail)));
  }
  place.replaceChildren(...pointer, make('p', {}, make('strong', {}, shown(problem.detail)), problem.remedy ? `: ${shown(problem.remedy)}` : ''));
  told = '';
  at('status').textContent = merge ? 'The rows below are of the search before.' : '';
}

/** Rows beyond the stream's, a page at a time, when the table is scrolled to its end. */
async function more() {
  if (more.running || running || !merge?.summary || more.refused === merge) return;
  const of = merge;
  more.running = true;
  try {
    const wanted = { limit: PAGE };
    if (deep && deep.cursor) wanted.cursor = deep.cursor;
    else if (deep) return;
    const answer = await ask(`api/v1/search?${parameters(wanted)}`, { patience: 30000 });
    if (of !== merge) return;
    const before = deep ?? [];
    const known = new Set(before.map((agent) => `${agent.site}/${agent.id}`));
    const rows = [...before, ...answer.agents.filter((agent) => !known.has(`${agent.site}/${agent.id}`))];
    rows.cursor = answer.next_cursor;
    deep = rows;
    table.show(deep, answer.total, order());
    at('rest').hidden = Boolean(answer.next_cursor) || deep.length >= answer.total;
    at('rest').textContent = `The first ${deep.length.toLocaleString()} of ${answer.total.toLocaleString()} rows. Narrow the search, or export all of them.`;
  } catch (problem) {
    more.refused = of;
  } finally {
    more.running = false;
  }
}

/** Every change of the line. */
function changed(step) {
  clearTimeout(typed);
  chips(at('chips'), box.value, set);
  ideas(at('ideas'), box.value, sites, set);
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

const EXPORTS = { 'as-csv': ['csv', 'text/csv'], 'as-json': ['json', 'application/json'], 'as-ndjson': ['ndjson', 'application/x-ndjson'] };

/** All rows of this view, page after page, with what is missing from them. */
async function everything() {
  const all = [];
  for (let cursor = null; ; ) {
    const answer = await ask(`api/v1/search?${parameters(cursor ? { limit: PAGE, cursor } : { limit: PAGE })}`, { patience: 60000 });
    all.push(...answer.agents);
    cursor = answer.next_cursor;
    if (!cursor) return { ...answer, agents: all };
  }
}

/** This view as a file. */
async function download(event) {
  event.preventDefault();
  const [format, kind] = EXPORTS[event.currentTarget.id];
  event.currentTarget.closest('details').open = false;
  try {
    let text;
    if (format === 'csv') {
      const response = await fetch(`${base}api/v1/search?${parameters()}`, { headers: { accept: kind } });
      if (!response.ok) throw await response.json();
      text = await response.text();
    } else {
      const { agents, ...summary } = await everything();
      text = format === 'json' ? JSON.stringify({ ...summary, agents }, null, 1)
        : [...agents, { summary: { ...summary, rows: agents.length } }].map((record) => `${JSON.stringify(record)}\n`).join('');
      if (agents.length < summary.total) {
        at('rest').textContent = `The file has the first ${agents.length.toLocaleString()} of ${summary.total.toLocaleString()} rows. CSV has all of them.`;
        at('rest').hidden = false;
      }
    }
    const link = make('a', { href: URL.createObjectURL(new Blob([text], { type: kind })), download: `agents.${format}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  } catch (problem) {
    mistake({ detail: problem?.detail ?? 'the gateway did not answer', remedy: problem?.remedy });
  }
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
  for (const id of Object.keys(EXPORTS)) at(id).addEventListener('click', download);
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || document.querySelector('dialog[open]')) return;
  const inBox = event.target === box;
  if (typing(event) && !inBox) return;
  const onButton = event.target.closest?.('a, button, summary');
  const by = { ArrowDown: 1, ArrowUp: -1, ...(inBox ? {} : { j: 1, k: -1 }) }[event.key];
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
  } else if (!inBox && !onButton && event.key === 'Home') {
    event.preventDefault();
    table.choose(0);
  } else if (!inBox && !onButton && event.key === 'End') {
    event.preventDefault();
    table.choose(table.items.length - 1);
  } else if (!inBox && event.key === 'o') table.open(true);
  else if (!inBox && event.key === 'r') run({ fresh: true, again: true });
  else if (!inBox && event.key === 's') stop();
}

function stop() {
  if (!running) return;
  stopped = true;
  const mine = running;
  running = null;
  mine.abort();
  at('rows').setAttribute('aria-busy', 'false');
  draw();
  wait();
}

box.addEventListener('input', () => {
  table.chosen = -1;
  changed(false);
});
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
document.addEventListener('pulse', async ({ detail }) => {
  const total = Object.values(detail.sites).reduce((sum, count) => sum + count, 0);
  // A site that has come back, or gone, is a reason to look again before it is time.
  const now = JSON.stringify([detail.sites.ok, detail.sites.failed, detail.sites.stale, detail.trouble.map((site) => site.id)]);
  const changes = states !== '' && states !== now;
  states = now;
  if (total !== sites.length) await names();
  if (changes && !running && !stopped && !document.hidden) run({ again: true });
});

async function names() {
  try {
    sites = (await ask('api/v1/sites')).sites.map(({ id, tags }) => ({ id, tags }));
    if (merge) later();
  } catch {
    // The pulse tells when the gateway is lost.
  }
}

at('rows').after(make('p', { id: 'rest', className: 'faint', hidden: true }));
// Who comes with a search goes on typing behind it.
if (document.activeElement === box) box.setSelectionRange(box.value.length, box.value.length);
options();
names();
changed(false);
if (memory.get('density', null)) table.setDensity(table.density);
