// What every page has: the sites' pill and its pulse, the word when the gateway is lost, keys.

import { ago, ask, base, clock, make, shown, sitePage, siteSign } from './text.js';
import './keys.js';

const root = document.documentElement;
root.classList.add('scripted');

const BEAT = 5000;
const PATIENCE = 4000;
const at = (id) => document.getElementById(id);

let lastGood = Date.now();
let timer = 0;
let running = null;
let out = false;

/** Counts of sites by state, as last heard. */
export let pulse = null;

/** Tells the frame that the gateway has answered, whatever was asked. */
export function heard() {
  lastGood = Date.now();
  // Of somebody who is logged out only the pulse can tell that they are back.
  if (out) return;
  at('lost').hidden = true;
  root.classList.remove('is-lost');
  document.title = document.title.replace(/^!! /, '');
  restartWatch();
}

/** Whether the session is known to have ended. */
export const ended = () => out;

/** The banner that shows by itself when no script has run for a while: a style's clock, which needs none. */
function restartWatch() {
  const frozen = at('frozen');
  frozen.classList.remove('watch');
  void frozen.offsetWidth;
  frozen.classList.add('watch');
}

function lost(why) {
  const banner = at('lost');
  banner.replaceChildren(
    make('strong', {}, 'The gateway does not answer. '),
    `What this page shows is from ${clock(lastGood)} or before. ${why} It asks again every 5 s.`,
  );
  banner.hidden = false;
  root.classList.add('is-lost');
  if (!document.title.startsWith('!! ')) document.title = `!! ${document.title}`;
  restartWatch();
  const summary = at('pill').firstElementChild;
  summary.className = 'site failed';
  at('pill-count').textContent = 'gateway lost';
  at('pill-word').textContent = '';
  at('pulse').textContent = `last heard ${clock(lastGood)}`;
}

function show(counts) {
  const of = (state) => counts[state] ?? 0;
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const live = of('ok') + of('idle');
  const [state, word] = [
    [total === 0, 'none', 'no sites'],
    [of('failed') > 0, 'failed', `${of('failed')} failed`],
    [of('stale') > 0, 'stale', `${of('stale')} stale`],
    [of('unread') > 0, 'unread', `${of('unread')} not read yet`],
    [of('paused') > 0, 'paused', `${of('paused')} paused`],
    [true, 'ok', 'all live'],
  ].find(([holds]) => holds).slice(1);
  const summary = at('pill').firstElementChild;
  summary.className = `site ${state}`;
  summary.title = `Sites: ${word}`;
  at('pill-count').textContent = `${live}/${total} live`;
  at('pill-word').textContent = word;
}

async function beat() {
  clearTimeout(timer);
  if (document.hidden || running) return;
  running = new AbortController();
  try {
    const answer = await ask('api/v1/pulse', { patience: PATIENCE, signal: running.signal });
    pulse = answer;
    show(answer.sites);
    if (out) {
      out = false;
      document.dispatchEvent(new CustomEvent('session-back'));
    }
    heard();
    at('pulse').textContent = `gateway heard ${clock(lastGood)}`;
    document.dispatchEvent(new CustomEvent('pulse', { detail: answer }));
    if (at('pill').open) list();
  } catch (problem) {
    // Logged out is not lost: the gateway has answered.
    if (problem?.code === 'signed_out') restartWatch();
    else if (problem?.code) lost(`It says: ${shown(problem.detail)}.`);
    else lost('');
  } finally {
    running = null;
    timer = setTimeout(beat, BEAT);
  }
}

/** One line per site in the opened pill, worst first. */
async function list() {
  let sites;
  try {
    ({ sites } = await ask('api/v1/sites'));
  } catch {
    return;
  }
  const order = ['failed', 'stale', 'unread', 'paused', 'idle', 'ok'];
  sites.sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state) || a.id.localeCompare(b.id));
  const most = 60;
  const lines = sites.slice(0, most).map((site) => {
    const facts = [site.rows === null ? null : `${site.rows} agents`, site.as_of && `read ${ago(site.as_of)}`,
      site.latency && `${site.latency.p50_ms} ms`].filter(Boolean).join(', ');
    const why = site.error ? make('small', {}, `${shown(site.error.message)}, since ${clock(site.error.since)}`) : null;
    return make('li', {}, siteSign(site.state), ' ', make('a', { href: sitePage(site.id) }, make('bdi', {}, shown(site.name))),
      make('span', { className: 'faint' }, ` ${facts}`), why);
  });
  lines.push(make('li', {}, make('a', { href: `${base}sites` }, sites.length > most ? `All ${sites.length} sites` : 'More about them')));
  at('pill-sites').replaceChildren(...lines);
}

at('pill').addEventListener('toggle', () => at('pill').open && list());
document.addEventListener('session-ended', () => {
  if (out) return;
  out = true;
  const again = make('a', { id: 'login-again' }, 'Log in again');
  const aim = () => {
    again.href = `${base}login?next=${encodeURIComponent(location.pathname.replace(base, '/') + location.search)}`;
  };
  aim();
  again.addEventListener('click', aim);
  at('lost').replaceChildren(make('strong', {}, 'You are logged out. '), again, `; what you see is kept, and of ${clock(lastGood)}.`);
  at('lost').hidden = false;
});
document.addEventListener('click', (event) => {
  for (const open of document.querySelectorAll('details[open]')) {
    if (!open.contains(event.target)) open.open = false;
  }
});
document.addEventListener('visibilitychange', () => {
  if (document.hidden) {
    clearTimeout(timer);
    at('frozen').classList.remove('watch');
  } else {
    restartWatch();
    beat();
  }
});
addEventListener('online', beat);
addEventListener('offline', () => lost('This machine is offline.'));
at('clock').textContent = clock(Date.now());
setInterval(() => {
  at('clock').textContent = clock(Date.now());
  if (!document.hidden && Date.now() % 10000 < 1000) {
    for (const time of document.querySelectorAll('time.ago')) time.textContent = ago(time.dateTime);
  }
  // After sleep, or when the pulse itself is stuck.
  if (!document.hidden && Date.now() - lastGood > BEAT + PATIENCE + 500 && !running) beat();
}, 1000);
restartWatch();
beat();
