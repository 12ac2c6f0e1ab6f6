// One row of the table: its columns, and what stands in each.

import { door } from './doors.js';
import { agentPage, bdi, clock, make, shown, sign, sitePage, STATUSES, when, word } from './text.js';

const name = (agent) => (agent.alias.trim() === '' ? '(no name)' : agent.alias);

/** All columns: id, heading, shown unless the person says otherwise, content. */
export const COLUMNS = [
  ['status', 'Status', true, status],
  ['alias', 'Agent', true, alias],
  ['site', 'Site', true, sites],
  ['address', 'Address', true, ({ agent }) => [bdi(agent.address)]],
  ['name', 'Technical name', false, ({ agent }) => [bdi(agent.name)]],
  ['os', 'OS', true, ({ agent }) => [bdi(agent.os)]],
  ['groups', 'Groups', true, ({ agent }) => [bdi(agent.groups.join(', '))]],
  ['modules', 'Modules', true, modules],
  ['contact', 'Last value', true, contact],
  ['asof', 'Read', false, ({ agent }) => [when(agent.as_of)]],
  ['open', 'Console', true, open],
];

function status({ agent, others }) {
  const cells = [sign(agent.status)];
  if (agent.alert_fired === true) cells.push(' ', make('span', { className: 'alert', title: 'an alert has fired' }, 'alert'));
  if (agent.stale) cells.push(' ', make('span', { className: 'asof' }, `as of ${clock(agent.as_of)}`));
  if (others.some((other) => other.status !== agent.status)) {
    cells.push(' ', make('span', { className: 'asof', title: 'its status differs between sites' }, 'differs'));
  }
  return cells;
}

function alias({ agent }) {
  return [make('a', { href: agentPage(agent), tabIndex: -1 }, bdi(name(agent)))];
}

function sites({ agent, others }) {
  const all = [agent, ...others];
  const links = all.slice(0, 4).map((one, place) => [place > 0 ? ', ' : null,
    make('a', { href: others.length > 0 ? agentPage(one) : sitePage(one.site), tabIndex: -1, title: others.length > 0 ? word(one.status) : null }, shown(one.site))]);
  return [...links.flat(), all.length > 4 ? ` and ${all.length - 4} more` : null];
}

function modules({ agent }) {
  return STATUSES.filter((state) => agent.modules[state] > 0).flatMap((state) => [
    make('span', { className: `n ${state}`, title: `${agent.modules[state]} ${state.replace('_', ' ')}` },
      String(agent.modules[state]), make('span', { className: 'unseen' }, ` ${state.replace('_', ' ')}`)), ' ']);
}

function contact({ agent }) {
  return [agent.last_contact ? when(agent.last_contact) : 'never'];
}

function open({ agent }) {
  const way = door(agent);
  if (!way) return [];
  const { href, rel, label } = way;
  return [make('a', { href, target: '_blank', rel, tabIndex: -1, title: label }, way.word, make('span', { className: 'unseen' }, ` ${way.more}: ${shown(name(agent))}`))];
}

/** A row for one item (`agent`, and `others`: the same host on other sites). */
export function row(item, columns, place) {
  const cells = COLUMNS.filter(([id]) => columns.has(id)).map(([id, , , content]) =>
    make('td', { className: `c-${id}` }, ...content(item).filter((part) => part !== null)));
  const classes = [item.agent.stale ? 'stale' : '', `is-${word(item.agent.status)}`].join(' ').trim();
  return make('tr', { className: classes, id: `row-${place}`, 'aria-rowindex': String(place + 2) }, ...cells);
}
