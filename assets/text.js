// Small things every page needs: elements, texts of sites made visible, times, addresses of ours.

const root = document.documentElement;

/** Where our pages begin: a path with a slash at its end. */
export const base = root.dataset.base;

/** An element with properties, and children that are elements or texts. Texts never become markup. */
export function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key in element && key !== 'list' && key !== 'role') element[key] = value;
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
const LONGEST = 160;

/** A text of a site: what is unseen or turns the writing direction is shown, and what is too long is cut, visibly. */
export function shown(text) {
  let cut = String(text ?? '');
  let more = '';
  if (cut.length > LONGEST) {
    more = `… [${cut.length} characters]`;
    cut = cut.slice(0, LONGEST);
    if (/[\ud800-\udbff]$/.test(cut)) cut = cut.slice(0, -1);
  }
  return cut.replace(UNSEEN, (c) => {
    const code = c.codePointAt(0);
    if (code < 0x20) return String.fromCodePoint(0x2400 + code);
    return code === 0x7f ? '\u2421' : `[U+${code.toString(16).toUpperCase().padStart(4, '0')}]`;
  }) + more;
}

/** A text of a site in an element that keeps its writing direction to itself. */
export const bdi = (text) => make('bdi', {}, shown(text));

export const STATUSES = ['critical', 'warning', 'unknown', 'normal', 'not_init'];

const STATES = { ok: 'live', idle: 'idle', unread: 'not read yet', stale: 'stale', failed: 'failed', paused: 'paused' };

/** A known word, or `unknown`: what goes into a class is ours. */
export const word = (status) => (STATUSES.includes(status) ? status : 'unknown');

/** The sign of a status: its shape, its colour and its word. */
export const sign = (status) => make('span', { className: `st ${word(status)}` }, word(status).replace('_', ' '));

export const siteSign = (state, text) =>
  make('span', { className: `site ${state in STATES ? state : 'failed'}` }, text ?? STATES[state] ?? 'failed');

/** A length of time in milliseconds, short. */
export function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} days`;
}

/** How long ago an RFC 3339 time was. */
export function ago(at) {
  const ms = Date.now() - Date.parse(at);
  if (Number.isNaN(ms)) return shown(at);
  return ms < -1000 ? `${span(-ms)} ahead` : `${span(ms)} ago`;
}

const short = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const long = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** The time of day here; with its date where that is not today. */
export function clock(at) {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return shown(at);
  return date.toDateString() === new Date().toDateString() ? short.format(date) : long.format(date);
}

/** How long ago, and on hover when; `frame.js` keeps it current. */
export const when = (at) => make('time', { className: 'ago', dateTime: at, title: clock(at) }, ago(at));

export const agentPage = (agent) => `${base}agents/${encodeURIComponent(agent.site)}/${encodeURIComponent(agent.id)}`;
export const sitePage = (site) => `${base}sites/${encodeURIComponent(site)}`;

/** Only web addresses become links. */
export function web(address) {
  try {
    const url = new URL(address, location.href);
    return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : null;
  } catch {
    return null;
  }
}

/** JSON of ours. A problem is thrown as it is; no answer within `patience` is one too. */
export async function ask(path, { patience = 15000, signal, ...rest } = {}) {
  const limit = AbortSignal.timeout(patience);
  const response = await fetch(base + path, {
    headers: { accept: 'application/json' },
    ...rest,
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
  });
  if (response.status === 401) announce();
  const kind = response.headers.get('content-type') ?? '';
  if (!kind.includes('json')) throw { code: 'bad_answer', detail: `the gateway answered ${response.status} without JSON` };
  const body = await response.json();
  if (!response.ok) throw body;
  return body;
}

/** The session has ended: the frame says so and keeps the page as it is. */
export function announce() {
  document.dispatchEvent(new CustomEvent('session-ended'));
}

/** The place where a page was left, for whoever comes back to it in this window: by the history, or by the login. */
export const visit = {
  leave(place) {
    try {
      sessionStorage.setItem('metaconsole.left', JSON.stringify({ ...place, address: location.pathname + location.search }));
    } catch {
      // Then they begin at the top.
    }
  },
  come() {
    try {
      const left = JSON.parse(sessionStorage.getItem('metaconsole.left'));
      sessionStorage.removeItem('metaconsole.left');
      const how = performance.getEntriesByType('navigation')[0]?.type;
      const here = location.pathname + location.search;
      const same = left.address === here && (left.login || how === 'back_forward' || how === 'reload');
      return same || (left.login && here === base) ? left : null;
    } catch {
      return null;
    }
  },
};

/** What this browser remembers for us. Private windows may refuse. */
export const memory = {
  get(key, otherwise) {
    try {
      const text = localStorage.getItem(`metaconsole.${key}`);
      return text === null ? otherwise : JSON.parse(text);
    } catch {
      return otherwise;
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(`metaconsole.${key}`, JSON.stringify(value));
    } catch {
      // Then it is not remembered.
    }
  },
};
