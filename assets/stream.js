// Reads an answer of one JSON record a line, as it comes.

import { announce, base } from './text.js';

/** Asks for a search as a stream; `tell` gets each record. Ends when the stream does; throws a problem, or on a cut. */
export async function stream(parameters, tell, signal) {
  const response = await fetch(`${base}api/v1/search?${parameters}`, { headers: { accept: 'application/x-ndjson' }, signal });
  if (response.status === 401) announce();
  if (!response.ok) {
    const kind = response.headers.get('content-type') ?? '';
    throw kind.includes('json') ? await response.json() : { code: 'bad_answer', detail: `the gateway answered ${response.status}` };
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let whole = false;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (line === '') continue;
      const record = JSON.parse(line);
      if (record.ended) {
        announce();
        throw { code: record.ended, detail: 'you are logged out' };
      }
      whole = whole || 'summary' in record;
      tell(record);
    }
  }
  if (!whole) throw { code: 'cut', detail: 'the answer was cut off' };
}
