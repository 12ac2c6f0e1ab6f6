// The list of sites: the box finds while one types, and the list stays current (swap.js).

import './swap.js';
import { announce } from './text.js';

const form = document.getElementById('sift');
const box = document.getElementById('part');
let running = null;
let timer = 0;

/** Shows the sites that have this in their names. The address is the state, so that swap.js asks for the same. */
async function sift() {
  running?.abort();
  running = new AbortController();
  const address = new URL(location.href);
  address.searchParams.delete('page');
  if (box.value.trim() === '') address.searchParams.delete('q');
  else address.searchParams.set('q', box.value);
  history.replaceState({}, '', address);
  try {
    const signal = AbortSignal.any([running.signal, AbortSignal.timeout(9000)]);
    const response = await fetch(address, { headers: { accept: 'text/html' }, signal });
    if (response.status === 401 || response.redirected) return announce();
    const page = new DOMParser().parseFromString(await response.text(), 'text/html');
    const part = page.querySelector('[data-swap=sites]');
    if (part) document.querySelector('[data-swap=sites]').replaceWith(document.adoptNode(part));
  } catch {
    // Another letter came, or the pulse tells what is wrong.
  }
}

box?.addEventListener('input', () => {
  clearTimeout(timer);
  timer = setTimeout(sift, 120);
});
form?.addEventListener('submit', (event) => {
  event.preventDefault();
  sift();
});
