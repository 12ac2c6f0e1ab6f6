// The answers of all sites to one question, merged as they come. A site's later record replaces its earlier one.

import { fold, rank, words } from './query.js';
import { STATUSES } from './text.js';

/** Rows of one site that the stream sends; up to so many, the merged order is exact. */
export const TOP = 50;

const number = (address) => {
  const parts = /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  return parts ? parts.slice(1).reduce((sum, part) => sum * 256 + Number(part), 0) : Infinity;
};
const total = (agent) => Object.values(agent.modules).reduce((sum, count) => sum + count, 0);
const compareTexts = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const compareIds = (a, b) => {
  const digits = /^\d+$/;
  return digits.test(a) && digits.test(b) ? Number(a) - Number(b) || compareTexts(a, b) : compareTexts(a, b);
};

/** What an order compares first, smaller first. */
const KEYS = {
  status: (agent) => STATUSES.indexOf(agent.status),
  alias: (agent) => fold(agent.alias),
  name: (agent) => fold(agent.name),
  site: (agent) => agent.site,
  id: (agent) => agent.site,
  ip: (agent) => number(agent.address),
  os: (agent) => fold(agent.os),
  modules: total,
  age: (agent) => -(Date.parse(agent.last_contact ?? 0) || 0),
};

export class Merge {
  constructor(query, sort) {
    this.words = words(query);
    this.sort = sort || 'rank';
    this.sites = new Map();
    this.summary = null;
  }

  take(record) {
    if (record.summary) this.summary = record.summary;
    else this.sites.set(record.site, record);
  }

  /** Sites that have not given their last word, of all there are. */
  late(ids) {
    if (this.summary) return [];
    return ids.filter((id) => {
      const record = this.sites.get(id);
      return !record || record.pending;
    });
  }

  /** How many agents match, as far as known. */
  total() {
    if (this.summary) return this.summary.total;
    let sum = 0;
    for (const record of this.sites.values()) sum += record.matched;
    return sum;
  }

  /** The same by status. */
  counts() {
    const sum = {};
    for (const { counts } of this.sites.values()) {
      for (const status of STATUSES) sum[status] = (sum[status] ?? 0) + (counts?.[status] ?? 0);
    }
    return sum;
  }

  /** What each site contributed, as far as known. */
  outcomes() {
    if (this.summary) return this.summary.sites;
    return [...this.sites.values()].map(({ site, matched, agents, counts, ...rest }) => ({ id: site, rows: matched, ...rest }));
  }

  /** The best rows of all sites. */
  rows() {
    const rows = [];
    for (const record of this.sites.values()) rows.push(...record.agents);
    const turned = this.sort.startsWith('-') ? -1 : 1;
    const by = this.sort.replace(/^-/, '');
    const first = KEYS[by] ?? ((agent) => rank(agent, this.words));
    const severity = by in KEYS ? () => 0 : KEYS.status;
    const keyed = rows.map((agent) => [first(agent), severity(agent), fold(agent.alias), agent]);
    keyed.sort((a, b) =>
      turned * (typeof a[0] === 'string' ? compareTexts(a[0], b[0]) : a[0] - b[0] || 0) || a[1] - b[1] ||
      compareTexts(a[2], b[2]) || compareTexts(a[3].site, b[3].site) || compareIds(a[3].id, b[3].id));
    const sorted = keyed.map((entry) => entry[3]);
    return this.summary ? this.#asTold(sorted) : sorted.slice(0, Math.max(TOP, 1));
  }

  /** In the gateway's own order, which is the last word. */
  #asTold(rows) {
    const places = new Map(rows.map((agent) => [`${agent.site}/${agent.id}`, agent]));
    const told = this.summary.order.map(([site, id]) => places.get(`${site}/${id}`)).filter(Boolean);
    return told.length > 0 || rows.length === 0 ? told : rows.slice(0, TOP);
  }
}
