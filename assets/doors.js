// As whom each site's console opens, by what the gateway says of this person.

import { ask, base, shown, web } from './text.js';

let accounts = new Map();
let names = new Map();

/** Asks for it; `sites` have their names. Reads no site. */
export async function learn(sites) {
  names = new Map(sites.map((site) => [site.id, site.name]));
  const { sites: seen } = await ask('api/v1/me');
  accounts = new Map(seen.filter((site) => site.opening === 'as').map((site) => [site.id, site.account]));
}

/** The way to an agent in its own console: handed over, or by a login there. */
export function door(agent) {
  const [name, account] = [shown(names.get(agent.site) ?? agent.site), accounts.get(agent.site)];
  if (account) {
    const view = `agent:${encodeURIComponent(agent.id)}`;
    return { href: `${base}open/${encodeURIComponent(agent.site)}?view=${view}`, rel: 'noopener', word: 'open', more: `in ${name} as ${shown(account)}`, label: `Open in ${name} as ${shown(account)}` };
  }
  const address = agent.links.console && web(agent.links.console);
  return address ? { href: address, rel: 'noreferrer', word: 'log in', more: `at ${name}`, label: `Open ${name} (log in there)` } : null;
}
