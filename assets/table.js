// The table of rows: any number of them, of which only those in sight are in the page. Columns, order, the chosen row.

import { door } from './doors.js';
import { fold } from './query.js';
import { COLUMNS, row } from './rows.js';
import { agentPage, make, memory } from './text.js';

/** Rows kept ready above and below what is in sight. */
const SPARE = 12;

export class Table {
  /** `sorted`: another order is wanted; `more`: rows of these places are looked at; `most`: so many are ever held. */
  constructor(table, { sorted, more, most }) {
    this.table = table;
    this.body = table.tBodies[0];
    this.head = table.tHead.rows[0];
    this.sorted = sorted;
    this.more = more;
    this.most = most;
    this.rows = [];
    this.items = [];
    this.built = new Map();
    this.chosen = -1;
    this.total = 0;
    this.sort = '';
    this.live = false;
    this.columns = new Set(memory.get('columns', COLUMNS.filter((column) => column[2]).map(([id]) => id)));
    this.together = memory.get('together', false);
    this.density = memory.get('density', 'normal');
    const sorts = (table.dataset.sorts ?? '').split(' ');
    this.turns = sorts.includes('turns');
    this.sorts = new Map(sorts.filter((entry) => entry.includes('=')).map((entry) => entry.split('=')));
    table.dataset.density = this.density;
    for (const kind of ['scroll', 'resize']) addEventListener(kind, () => this.#later(), { passive: true });
    table.addEventListener('click', (event) => this.#click(event));
  }

  /** Other rows; the chosen one stays chosen when it is still there. */
  show(rows, total, sort) {
    // One that is not read yet stays chosen by its place.
    const item = this.items[this.chosen];
    const heading = !this.live || sort !== this.sort;
    this.live = true;
    [this.rows, this.total, this.sort] = [rows, total, sort];
    this.items = this.together ? grouped(rows) : rows.map((agent, at) => ({ agent, others: [], at }));
    if (item) this.chosen = this.items.findIndex((other) => keyOf(other) === keyOf(item));
    else this.chosen = Math.min(this.chosen, this.#count() - 1);
    if (heading) this.#heading();
    this.table.setAttribute('aria-rowcount', String(Math.max(this.together ? 0 : total, this.#count()) + 1));
    this.draw();
  }

  setColumn(id, shown) {
    this.columns[shown ? 'add' : 'delete'](id);
    memory.set('columns', [...this.columns]);
    this.#again();
  }

  setDensity(density) {
    this.density = density;
    memory.set('density', density);
    this.table.dataset.density = density;
    this.#again();
  }

  setTogether(together) {
    this.together = together;
    memory.set('together', together);
    this.show(this.rows, this.total, this.sort);
  }

  /** The row with this place becomes the chosen one, and is in sight. */
  choose(place) {
    if (this.#count() === 0) return;
    this.chosen = Math.min(Math.max(place, 0), this.#count() - 1);
    const height = this.#height();
    const top = this.body.getBoundingClientRect().top + this.chosen * height;
    const head = this.table.tHead.getBoundingClientRect().height;
    if (top < head + 8) scrollBy({ top: top - head - 8 });
    else if (top + height > innerHeight - 40) scrollBy({ top: top + height - innerHeight + 40 });
    this.draw();
  }

  /** Opens the chosen row: its page, or its own console in a new window. */
  open(console) {
    const item = this.items[Math.max(this.chosen, 0)];
    if (!item) return;
    if (!console) location.href = agentPage(item.agent);
    else if (door(item.agent)) window.open(door(item.agent).href, '_blank', door(item.agent).rel);
  }

  /** Puts the rows in sight into the page. */
  draw() {
    const height = this.#height();
    const top = this.body.getBoundingClientRect().top;
    const count = this.#count();
    const from = Math.max(0, Math.min(count, Math.floor(-top / height) - SPARE));
    const to = Math.min(count, Math.max(from, Math.ceil((innerHeight - top) / height) + SPARE));
    const width = this.columns.size;
    const read = Math.min(to, this.items.length);
    const wanted = [gap('above', from * height, width)];
    const kept = new Map();
    for (let place = from; place < read; place += 1) {
      const item = this.items[place];
      const key = `${keyOf(item)} ${place}`;
      const old = this.built.get(key);
      const same = old && old.agent === item.agent && old.others === item.others.length;
      const element = same ? old.element : row(item, this.columns, place);
      element.classList.toggle('chosen', place === this.chosen);
      if (place === this.chosen) element.setAttribute('aria-selected', 'true');
      else element.removeAttribute('aria-selected');
      kept.set(key, { element, agent: item.agent, others: item.others.length });
      wanted.push(element);
    }
    wanted.push(gap('below', (count - Math.max(from, read)) * height, width));
    this.built = kept;
    place(this.body, wanted);
    if (this.chosen >= from && this.chosen < to) this.table.setAttribute('aria-activedescendant', `row-${this.chosen}`);
    else this.table.removeAttribute('aria-activedescendant');
    if (!this.live) return;
    const placeOf = (item) => this.items[item]?.at ?? this.rows.length + item - this.items.length;
    const [first, end] = [Math.max(0, Math.floor(-top / height)), Math.min(count, Math.ceil((innerHeight - top) / height))];
    if (end > first) this.more(placeOf(first), placeOf(end - 1) + 1);
  }

  /** Rows there are or will be once they are read. */
  #count() {
    return this.items.length + Math.max(0, Math.min(this.total, this.most) - this.rows.length);
  }

  /** Builds every row again: what stands in them has another meaning now. */
  anew() {
    this.built = new Map();
    if (this.live) this.draw();
  }

  #height() {
    return Number.parseFloat(getComputedStyle(this.table).getPropertyValue('--row')) || 30;
  }

  #again() {
    this.built = new Map();
    this.#heading();
    this.draw();
  }

  #later() {
    if (this.waiting || !this.live) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  #heading() {
    const heads = COLUMNS.filter(([id]) => this.columns.has(id)).map(([id, title]) => {
      const order = this.sorts.get(id);
      const [up, down] = [order && this.sort === order, order && this.sort === `-${order}`];
      const inside = order ? make('button', { type: 'button', className: 'sort' }, title, up ? ' ▾' : down ? ' ▴' : '') : title;
      if (order) inside.dataset.sort = up && this.turns ? `-${order}` : up ? '' : order;
      return make('th', { scope: 'col', className: `c-${id}`, 'aria-sort': up ? 'ascending' : down ? 'descending' : null }, inside);
    });
    this.head.replaceChildren(...heads);
  }

  #click(event) {
    const button = event.target.closest('button.sort');
    if (button) {
      this.sorted(button.dataset.sort);
      return;
    }
    const line = event.target.closest('tbody tr[id]');
    if (!line || event.target.closest('a')) return;
    this.chosen = Number(line.id.slice(4));
    this.draw();
  }
}

const keyOf = ({ agent }) => `${agent.site}/${agent.id}`;

const aliases = new WeakMap();

function aliasOf(agent) {
  if (!aliases.has(agent)) aliases.set(agent, fold(agent.alias).trim());
  return aliases.get(agent);
}

/** Rows of one alias on several sites as one item, at the place of the first. */
function grouped(rows) {
  const groups = new Map();
  rows.forEach((agent, at) => {
    const key = aliasOf(agent) || keyOf({ agent });
    const group = groups.get(key);
    const apart = group && (group.agent.site === agent.site || group.others.some((other) => other.site === agent.site));
    if (group && !apart) group.others.push(agent);
    else groups.set(apart ? `${key} ${keyOf({ agent })}` : key, { agent, others: [], at });
  });
  return [...groups.values()];
}

const gaps = new Map();

function gap(which, height, width) {
  if (!gaps.has(which)) gaps.set(which, make('tr', { className: 'gap', 'aria-hidden': 'true' }, make('td')));
  const element = gaps.get(which);
  element.firstChild.colSpan = Math.max(width, 1);
  element.firstChild.style.height = `${height}px`;
  return element;
}

/** Makes these the children, moving only what is not in its place, so that focus and selection stay. */
function place(parent, wanted) {
  const keep = new Set(wanted);
  for (const child of [...parent.childNodes]) if (!keep.has(child)) child.remove();
  let at = parent.firstChild;
  for (const element of wanted) {
    if (element === at) at = at.nextSibling;
    else parent.insertBefore(element, at);
  }
}
