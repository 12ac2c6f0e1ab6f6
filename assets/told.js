// The sentences above the table: how many, who is late, who is missing and since when, and what the line has wrong.

import { clock, make, shown, sitePage, siteSign, span, STATUSES } from './text.js';

const at = (id) => document.getElementById(id);
let told = '';
let saying = 0;

/** What stands there is of something else now: it is written anew, whatever it says. */
export function forget() {
  told = '';
}

/** Words for trouble with the search as a whole. */
export function trouble(sentence) {
  told = '';
  at('status').textContent = sentence;
  at('state').className = 'state partial';
  hear(sentence);
}

/** Heard only when it has stood for a moment: not at every key, not for every site. */
function hear(sentence) {
  clearTimeout(saying);
  saying = setTimeout(() => (at('said').textContent = sentence), 800);
}

/** `merge` is the answer as far as it has come, `all` the ids of the sites, `running` whether more is to come. */
export function tell(merge, all, { line, running, stopped }) {
  const total = merge.total();
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
    hear(sentence);
    const lost = document.title.startsWith('!! ') ? '!! ' : '';
    document.title = `${lost}${missing > 0 ? '! ' : ''}${total.toLocaleString()} · ${shown(line) || 'Search'} · Metaconsole`;
    at('status').replaceChildren(parts.join('; '), ...(lack.length > 0 ? ['; ', make('span', { className: 'lack' }, lack.join('; '))] : []), '.');
  }
  at('state').className = `state${failed.length > 0 || stopped ? ' partial' : old.length > 0 ? ' old' : late.length > 0 ? ' waiting' : ''}`;
  reasons(failed, old, late);
  at('stop').hidden = !(running && late.length > 0);
  const bar = at('progress');
  bar.hidden = !running || all.length === 0 || late.length === 0;
  bar.firstElementChild.style.width = `${all.length ? (100 * (all.length - late.length)) / all.length : 0}%`;
}

/** A line for each site that is not in the answer as it should be. */
function reasons(failed, old, late) {
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
}

/** How many of what is found are in each status; each leads to those. */
export function statuses(counts, line, pick) {
  const place = at('statuses');
  const known = STATUSES.filter((status) => counts[status] > 0);
  const now = JSON.stringify([line, known.map((status) => counts[status])]);
  if (place.dataset.now === now) return;
  const focused = document.activeElement?.dataset?.status;
  place.dataset.now = now;
  place.replaceChildren(...known.map((status) => {
    const only = new RegExp(`(^|\\s)status:${status}(\\s|$)`).test(line);
    const words = status.replace('_', ' ');
    const button = make('button', { type: 'button', className: `n ${status}`, title: only ? `No longer only ${words}` : `Only ${words}`, 'aria-pressed': String(only) },
      counts[status].toLocaleString(), make('span', { className: 'says' }, ` ${words}`));
    button.dataset.status = status;
    const others = line.replace(/(^|\s)status:\S*/g, ' ').replace(/\s+/g, ' ').trim();
    button.addEventListener('click', () => pick(only ? others : `${others} status:${status}`.trim()));
    return button;
  }));
  if (focused) place.querySelector(`[data-status="${focused}"]`)?.focus();
}

/** A mistake in the line, under the line, with its place; `null` takes it away. */
export function mistake(box, problem, others) {
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
  at('status').textContent = others ? 'The rows below are of the search before.' : '';
}

/** Below the table: what of it is still read, and what is not shown at all. */
export function below(deep, most) {
  const place = at('rest');
  const { total, trouble: problem } = deep;
  const count = deep.rows().length.toLocaleString();
  const text = problem ? `Rows after the first ${count} could not be read: ${shown(problem.detail ?? 'no answer in time')}.`
    : deep.reading() ? `Reading rows: ${count} of ${Math.min(total, most).toLocaleString()}…`
    : total > most && deep.wanted[1] >= most ? `The first ${count} of ${total.toLocaleString()} rows. Narrow the search, or export all of them.` : '';
  if (place.textContent !== text) place.textContent = text;
  place.hidden = text === '';
}

/** Since when the gateway is silent to a search although it runs. */
export const silent = (ms, rows) => trouble(`No answer to this search for ${span(ms)}${rows ? `; the rows are of ${clock(rows)}` : ''}.`);
