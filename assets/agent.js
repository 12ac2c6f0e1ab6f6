// The agent's live part: modules with values, a chart of each, recent events. Asked of the site through the gateway.

import { chart } from './chart.js';
import { ago, ask, bdi, clock, make, shown, sign } from './text.js';

const REST = 60000;
const DAY = 86400000;
const CHARTS = 6;
const place = document.getElementById('agent');
const { site, agent } = place.dataset;
const path = `api/v1/sites/${encodeURIComponent(site)}/agents/${encodeURIComponent(agent)}`;
const at = (id) => document.getElementById(id);
let timer = 0;

async function load() {
  clearTimeout(timer);
  if (document.hidden) return;
  at('detail').setAttribute('aria-busy', 'true');
  try {
    const answer = await ask(path, { patience: 30000 });
    modules(answer.modules ?? []);
    events(answer.events, answer.events_error);
    at('detail-state').textContent = `As of ${clock(answer.as_of ?? Date.now())}${answer.modules_cut ? `; ${answer.modules_cut} more modules are not shown` : ''}.`;
  } catch (problem) {
    const gone = problem?.code === 'not_found';
    at('detail-state').textContent = gone
      ? 'This gateway does not tell modules; the site’s console does.'
      : `Not told: ${shown(problem?.detail ?? 'no answer in time')}${problem?.remedy ? `; ${shown(problem.remedy)}` : ''}.`;
    if (gone) return;
  } finally {
    at('detail').setAttribute('aria-busy', 'false');
  }
  timer = setTimeout(load, REST);
}

function modules(all) {
  const rows = all.map((module) => {
    const when = module.reported ?? module.last_contact ?? module.time;
    const spot = make('td', { className: 'chart' });
    // One that could not be read says why instead of its value.
    const value = module.error ? `not read: ${module.error.message}` : `${module.value ?? ''}`;
    const line = make('tr', {}, make('td', {}, sign(module.status)), make('td', {}, bdi(module.name ?? `module ${module.id}`), module.description ? make('small', { className: 'faint' }, ' ', bdi(module.description)) : null),
      make('td', { className: 'num' }, bdi(value)), make('td', {}, when ? ago(when) : 'never'), spot);
    if (module.id !== undefined && Number.isFinite(Number.parseFloat(module.value))) {
      const button = make('button', { type: 'button', className: 'quiet' }, 'last day');
      button.addEventListener('click', () => draw(module, spot));
      spot.append(button);
    }
    return { line, spot, module };
  });
  const head = make('thead', {}, make('tr', {}, ...['Status', 'Module', 'Value', 'Reported', 'Last day'].map((title) => make('th', { scope: 'col' }, title))));
  at('modules').replaceChildren(rows.length === 0 ? make('p', { className: 'faint' }, 'none') : make('table', { className: 'plain list', tabIndex: 0, ariaLabel: 'Modules' }, head, make('tbody', {}, ...rows.map((row) => row.line))));
  for (const { module, spot } of rows.filter((row) => row.spot.firstChild).slice(0, CHARTS)) draw(module, spot);
}

async function draw(module, spot) {
  // Whole ten seconds, so that all who look at it ask the same.
  const now = Date.now() - (Date.now() % 10000);
  const [to, from] = [new Date(now), new Date(now - DAY)];
  const range = new URLSearchParams({ from: from.toISOString().replace(/\.\d+Z/, 'Z'), to: to.toISOString().replace(/\.\d+Z/, 'Z') });
  try {
    const answer = await ask(`${path}/modules/${encodeURIComponent(module.id)}/data?${range}`, { patience: 30000 });
    const points = (answer.points ?? answer.data ?? []).map((point) => [Date.parse(point.at ?? point.time), Number.parseFloat(point.value)]);
    spot.replaceChildren(chart(points, from.getTime(), to.getTime(), `${shown(module.name)} over the last day`));
  } catch (problem) {
    spot.replaceChildren(make('span', { className: 'faint' }, shown(problem?.detail ?? 'no answer in time')));
  }
}

function events(all, trouble) {
  if (!all) {
    at('events').replaceChildren(make('p', { className: 'faint' }, `Not told: ${shown(trouble?.message ?? 'no answer in time')}.`));
    return;
  }
  const lines = all.slice(0, 30).map((event) => make('tr', {}, make('td', {}, event.at || event.time ? ago(event.at ?? event.time) : ''),
    make('td', {}, bdi(event.severity ?? event.status ?? event.kind ?? '')), make('td', {}, bdi(event.text ?? event.event ?? event.name ?? ''))));
  at('events').replaceChildren(lines.length === 0 ? make('p', { className: 'faint' }, 'none') : make('table', { className: 'plain list', tabIndex: 0, ariaLabel: 'Recent events' }, make('tbody', {}, ...lines)));
}

document.addEventListener('visibilitychange', () => (document.hidden ? clearTimeout(timer) : load()));
load();
