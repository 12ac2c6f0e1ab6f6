// The agent's live part: modules with values, a chart of each, events back in time. Asked of the site by the gateway.

import { chart, number } from './chart.js';
import { now } from './swap.js';
import { ask, bdi, clock, make, memory, shown, sign, span, when } from './text.js';

const REST = 60000;
const SOON = 10000;
const RANGES = { hour: 3600000, day: 86400000, week: 604800000 };

/** So many charts are drawn unasked: each is a read of the site. */
const CHARTS = 6;

/** Events of one page. */
const PAGE = 20;

const place = document.getElementById('agent');
const { site, agent } = place.dataset;
const path = `api/v1/sites/${encodeURIComponent(site)}/agents/${encodeURIComponent(agent)}`;
const at = (id) => document.getElementById(id);
const spots = new Map();
const known = new Map();
const names = new Map();
let range = memory.get('range', 'day') in RANGES ? memory.get('range', 'day') : 'day';
let timer = 0;
let cursor = null;
let read = 0;

async function load() {
  clearTimeout(timer);
  if (document.hidden) return;
  at('detail').setAttribute('aria-busy', 'true');
  let rest = REST;
  try {
    let answer = await ask(`${path}?deadline=3s`);
    take(answer);
    if ((answer.modules ?? []).some((module) => module.error?.code === 'timeout')) {
      // What there is stands already; a site that is slow gets its time.
      answer = await ask(`${path}?deadline=30s`, { patience: 40000 });
      take(answer);
    }
  } catch (problem) {
    const before = read ? ` What stands here is of ${clock(read)}.` : '';
    at('detail-state').textContent = `Not told: ${shown(problem?.detail ?? 'no answer in time')}${problem?.remedy ? `; ${shown(problem.remedy)}` : ''}.${before}`;
    if (!read) at('events').replaceChildren(make('p', { className: 'faint' }, 'Not told.'));
    rest = SOON;
  } finally {
    at('detail').setAttribute('aria-busy', 'false');
  }
  timer = setTimeout(load, rest);
}

function take(answer) {
  const all = answer.modules ?? [];
  read = Date.parse(answer.read) || Date.now();
  modules(all);
  const unread = all.filter((module) => module.error);
  const parts = [`As of ${clock(read)}`];
  if (unread.length > 0) parts.push(`${unread.length} of ${all.length} not read: ${shown(unread[0].error.message)}`);
  if (answer.modules_cut) parts.push(`${answer.modules_cut} more are not shown`);
  at('detail-state').textContent = `${parts.join('; ')}.`;
  at('detail-state').className = unread.length > 0 ? 'lack' : 'faint';
  if (answer.events) keep(answer.events);
  events(answer.events ? null : answer.events_error ?? {});
}

/** A value as it is read. */
function value(module) {
  if (module.error) return make('td', { className: 'num faint' }, 'not read');
  if (typeof module.value === 'number') return make('td', { className: 'num' }, number(module.value));
  return make('td', { className: 'text', title: shown(module.value) }, bdi(module.value ?? ''));
}

/** When it reported, and whether that is too long ago. */
function age(module) {
  if (!module.reported) return make('td', {}, module.error ? '–' : 'never');
  const late = read - Date.parse(module.reported) - 2000 * (module.interval_s ?? Infinity);
  const overdue = late > 0 ? make('span', { className: 'asof', title: `it reports every ${span(1000 * module.interval_s)}` }, 'overdue') : null;
  return make('td', { className: 'time' }, when(module.reported), overdue ? ' ' : null, overdue);
}

function modules(all) {
  names.clear();
  for (const module of all) names.set(module.id, module.name);
  const numeric = all.filter((module) => typeof module.value === 'number' && module.id !== undefined);
  const lines = all.map((module) => {
    const spot = spots.get(module.id) ?? make('td', { className: 'chart' });
    if (!spots.has(module.id) && numeric.indexOf(module) >= CHARTS) {
      const button = make('button', { type: 'button', className: 'quiet', 'aria-label': `chart of ${shown(module.name)}` }, 'chart');
      button.addEventListener('click', () => draw(module, spot));
      spot.replaceChildren(button);
    }
    spots.set(module.id, spot);
    return make('tr', {}, make('td', {}, sign(module.status)),
      make('td', { className: 'name' }, bdi(module.name ?? `module ${module.id}`), module.description ? make('small', { title: shown(module.description) }, bdi(module.description)) : null),
      value(module), age(module), spot);
  });
  const head = make('thead', {}, make('tr', {}, ...['Status', 'Module', 'Value', 'Reported', 'Chart'].map((title) => make('th', { scope: 'col', className: title === 'Value' ? 'num' : '' }, title))));
  if (at('modules').contains(document.activeElement) && document.activeElement.matches('button')) return;
  at('modules').replaceChildren(lines.length === 0 ? make('p', { className: 'faint' }, 'No modules.')
    : make('table', { className: 'plain list modules', tabIndex: 0, ariaLabel: 'Modules' }, head, make('tbody', {}, ...lines)));
  numeric.forEach((module, order) => {
    const spot = spots.get(module.id);
    if (order < CHARTS || spot.dataset.drawn) draw(module, spot);
  });
}

/** The chart of one module; the one before stays until the new one is there. */
async function draw(module, spot) {
  spot.dataset.drawn = 'yes';
  // Whole ten seconds, so that all who look at it ask the same.
  const to = Date.now() - (Date.now() % 10000);
  const from = to - RANGES[range];
  const asked = range;
  const text = (ms) => new Date(ms).toISOString().replace(/\.\d+Z/, 'Z');
  let picture;
  try {
    const question = new URLSearchParams({ from: text(from), to: text(to), deadline: '20s' });
    const { points } = await ask(`${path}/modules/${encodeURIComponent(module.id)}/data?${question}`, { patience: 30000 });
    const limits = ['warning', 'critical'].flatMap((kind) => [module[kind]?.min, module[kind]?.max].filter(Number.isFinite).map((limit) => [kind, limit]));
    picture = chart(points.map((point) => [Date.parse(point.at), typeof point.value === 'number' ? point.value : NaN]), from, to, {
      label: `${shown(module.name)}, last ${range}`, interval: 1000 * (module.interval_s ?? 0), until: Date.parse(module.reported ?? '') || Infinity, limits,
    });
  } catch (problem) {
    picture = make('span', { className: 'faint', title: shown(problem?.detail) }, 'not told');
  }
  if (asked === range) spot.replaceChildren(picture);
}

/** Events are kept by their number: each stands there once, however often and in whatever page it comes. */
function keep(all) {
  for (const event of all) known.set(event.id, event);
}

const GRAVITY = { critical: 'critical', major: 'critical', minor: 'warning', warning: 'warning', normal: 'normal', maintenance: 'unknown', informational: 'unknown' };

function events(trouble) {
  const all = [...known.values()].sort((a, b) => Date.parse(b.at) - Date.parse(a.at) || b.id - a.id);
  const severity = (event) => (event.severity in GRAVITY ? make('span', { className: `st ${GRAVITY[event.severity]}` }, event.severity) : '–');
  const lines = all.map((event) => {
    const about = [names.get(event.module), event.state].filter(Boolean).map(shown).join(' · ');
    return make('tr', {}, make('td', { className: 'time' }, when(event.at)), make('td', {}, severity(event)),
      make('td', {}, bdi(event.text || event.kind), about ? make('small', {}, bdi(about)) : null));
  });
  const parts = [];
  if (lines.length > 0) parts.push(make('table', { className: 'plain list', tabIndex: 0, ariaLabel: 'Recent events' }, make('tbody', {}, ...lines)));
  else if (!trouble) parts.push(make('p', { className: 'faint' }, 'No events.'));
  if (trouble) parts.push(make('p', { className: 'lack' }, `Not told: ${shown(trouble.message ?? 'no answer in time')}.`));
  at('events').replaceChildren(...parts);
  if (cursor === null && !at('events-more').firstChild && all.length >= PAGE) more('');
}

/** The button for what is older; after the last there is a word instead. */
function more(said) {
  const button = make('button', { type: 'button', id: 'older' }, 'Older events');
  button.addEventListener('click', older);
  at('events-more').replaceChildren(...(cursor === false ? [] : [button, ' ']), make('span', { className: 'faint', role: 'status' }, said));
}

/** The next page of events that brings something new. */
async function older() {
  at('older').disabled = true;
  const before = known.size;
  let said = '';
  try {
    do {
      const question = new URLSearchParams({ limit: PAGE, deadline: '20s', ...(cursor ? { cursor } : {}) });
      const answer = await ask(`${path}/events?${question}`, { patience: 30000 });
      keep(answer.events);
      cursor = answer.next_cursor ?? false;
      if (answer.error) said = `Not told further: ${shown(answer.error.message)}.`;
      else if (cursor === false) said = answer.back_to ? `The site tells none before ${clock(answer.back_to)}.` : 'These are all.';
    } while (cursor && known.size === before && !said);
  } catch (problem) {
    said = `Not told: ${shown(problem?.detail ?? 'no answer in time')}.`;
  }
  events(null);
  more(said);
  if (at('older')) at('older').focus();
}

at('range').value = range;
at('range').addEventListener('change', () => {
  range = at('range').value;
  memory.set('range', range);
  clearTimeout(timer);
  load();
});
place.addEventListener('click', async (event) => {
  const link = event.target.closest('#ask-alerts');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  at('alerts').replaceChildren('asking the site…');
  try {
    await ask(`api/v1/search?${new URLSearchParams({ q: `alert:fired site:${site}`, limit: 1, deadline: '20s' })}`, { patience: 30000 });
  } catch {
    // What is known is told again, and why there is no more.
  }
  now();
});
document.addEventListener('visibilitychange', () => (document.hidden ? clearTimeout(timer) : load()));
load();
