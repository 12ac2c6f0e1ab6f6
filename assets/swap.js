// A page that the server writes whole stays current: it is asked for again, and its living part takes the old one's place.

import { announce, clock, make } from './text.js';
import { heard } from './frame.js';

const EVERY = Math.min(Number(document.documentElement.dataset.refresh), 10000);
let timer = 0;
let running = false;
let after = null;
let good = Date.now();

/** The new part in the place of the old; what had the focus has it again, by its address. */
function renew(old, part) {
  const focus = old.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
  old.replaceWith(part);
  if (focus !== null) part.querySelector(`[href="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
}

/** The gateway lives, but does not give this page: then what stands here is old, and is to say so. */
function tell() {
  const note = make('p', { id: 'old', className: 'note bad' }, `What stands here is of ${clock(good)}: the gateway does not give this page again.`);
  note.setAttribute('role', 'alert');
  if (!document.getElementById('old')) document.getElementById('main').prepend(note);
}

/** Asks for this page again. Scripts of the answer do not run: it is parsed, not loaded. */
async function swap() {
  clearTimeout(timer);
  if (!running && !document.hidden) {
    running = true;
    try {
      // What a button led to was news only once.
      const address = new URL(location.href);
      address.searchParams.delete('probe');
      history.replaceState({}, '', address);
      const response = await fetch(address, { headers: { accept: 'text/html' }, signal: AbortSignal.timeout(9000) });
      const told = response.headers.get('content-type') ?? '';
      if (response.status === 401 || response.redirected) announce();
      else if (!response.ok || !told.startsWith('text/html')) tell();
      else {
        const page = new DOMParser().parseFromString(await response.text(), 'text/html');
        // Whoever has chosen something else meanwhile gets that.
        if (location.href !== address.href) return;
        document.getElementById('old')?.remove();
        for (const part of page.querySelectorAll('[data-swap]')) {
          const old = document.querySelector(`[data-swap="${part.dataset.swap}"]`);
          if (old) renew(old, document.adoptNode(part));
        }
        good = Date.now();
        heard();
        after?.();
      }
    } catch (problem) {
      // The pulse tells when the gateway is lost.
      if (problem.name === 'TimeoutError') tell();
    } finally {
      running = false;
      timer = setTimeout(swap, EVERY);
    }
  } else timer = setTimeout(swap, EVERY);
}

document.addEventListener('visibilitychange', () => document.hidden || swap());

/** Asks at once. */
export const now = swap;

/** Runs after each time. */
export function keep(then) {
  after = then;
}

timer = setTimeout(swap, EVERY);