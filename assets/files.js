// This view as a file. Lines come as they are made, whatever their number; one whole JSON is put together here.

import { announce, base, make } from './text.js';

const at = (id) => document.getElementById(id);
const address = (parameters, format) => {
  parameters.set('format', format);
  return `${base}api/v1/search?${parameters}`;
};

/** The fold of files: `parameters` gives the search, `failed` is told of a problem. */
export function files(parameters, failed) {
  at('export').addEventListener('toggle', () => {
    at('as-csv').href = address(parameters(), 'csv');
    at('as-ndjson').href = address(parameters(), 'ndjson');
  });
  at('export').addEventListener('click', (event) => {
    if (event.target.closest('a')) at('export').open = false;
  });
  at('as-json').addEventListener('click', async (event) => {
    event.preventDefault();
    try {
      const response = await fetch(address(parameters(), 'ndjson'));
      if (response.status === 401) announce();
      if (!response.ok) throw await response.json();
      const records = (await response.text()).trim().split('\n').map((line) => JSON.parse(line));
      const { summary } = records.pop();
      if (!summary) throw { detail: 'the answer was cut off', remedy: 'try again' };
      const text = JSON.stringify({ ...summary, agents: records }, null, 1);
      const link = make('a', { href: URL.createObjectURL(new Blob([text], { type: 'application/json' })), download: 'agents.json' });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    } catch (problem) {
      failed({ detail: problem?.detail ?? 'the gateway did not answer', remedy: problem?.remedy });
    }
  });
}
