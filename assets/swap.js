// A page that the server writes whole stays current: it is asked for again, and its living part takes the old one's place.

import { announce } from './text.js';
import { heard } from './frame.js';

const EVERY = Math.min(Number(document.documentElement.dataset.refresh), 10000);
let timer = 0;
let running = false;
let after = null;

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
      else if (told.startsWith('text/html')) {
        const page = new DOMParser().parseFromString(await response.text(), 'text/html');
        for (const part of page.querySelectorAll('[data-swap]')) {
          const old = document.querySelector(`[data-swap="${part.dataset.swap}"]`);
          if (old && !old.contains(document.activeElement)) old.replaceWith(document.adoptNode(part));
        }
        heard();
        after?.();
      }
    } catch {
      // The pulse tells when the gateway is lost.
    } finally {
      running = false;
    }
  }
  timer = setTimeout(swap, EVERY);
}

document.addEventListener('visibilitychange', () => document.hidden || swap());

/** Asks at once. */
export const now = swap;

/** Runs after each time. */
export function keep(then) {
  after = then;
}

timer = setTimeout(swap, EVERY);