// Rows beyond those that the stream brings: fetched page after page in order, as far as somebody looks, and again once
// they are older than the last answer. Each page remembers where it begins, so that a look in the middle asks for its
// own page only.

/** Rows of one page. */
export const PAGE = 1000;

/** A browser holds no more rows than this; the whole of a larger answer is a file. */
export const MOST = 100000;

const keyOf = (agent) => `${agent.site}/${agent.id}`;

/** What the table shows of a row; a hundred thousand of them are kept. */
const slim = ({ links, ...agent }) => ({ ...agent, links: { console: links.console } });

export class Deep {
  /** `fetch`: a page from a cursor (null: the first). `changed`: there are other rows. */
  constructor(fetch, changed) {
    this.fetch = fetch;
    this.changed = changed;
    this.reset();
  }

  /** Another search: nothing of the one before is of use. */
  reset() {
    this.stop?.abort();
    this.stop = new AbortController();
    this.pages = [];
    this.flat = null;
    this.total = 0;
    this.wanted = [0, 0];
    this.busy = false;
    this.trouble = null;
    this.version = 0;
  }

  /** The search was answered again: what is held is from before. */
  old() {
    this.version += 1;
    this.trouble = null;
  }

  /** Rows in order, each once. */
  rows() {
    if (!this.flat) {
      const known = new Set();
      this.flat = [];
      for (const page of this.pages) {
        for (const agent of page.rows) {
          const key = keyOf(agent);
          if (!known.has(key)) this.flat.push(agent);
          known.add(key);
        }
      }
    }
    return this.flat;
  }

  /** Whether rows that are looked at are still to come. */
  reading() {
    return this.busy && this.rows().length < Math.min(this.wanted[1], this.total || Infinity);
  }

  /** Somebody looks at these places. */
  want(from, to) {
    this.wanted = [from, Math.min(to, MOST)];
    if (!this.busy && !this.trouble && this.#next()) this.#work();
  }

  /** The page to fetch now: one in sight that is old, else the next one while it is needed. */
  #next() {
    const [from, to] = this.wanted;
    let place = 0;
    for (const page of this.pages) {
      const end = place + page.rows.length;
      if (page.version !== this.version && place < to && end > from) return page;
      place = end;
    }
    const last = this.pages.at(-1);
    if (place >= to || (last && !last.next)) return null;
    return { cursor: last ? last.next : null, rows: [], fresh: true };
  }

  async #work() {
    const { signal } = this.stop;
    this.busy = true;
    try {
      for (let page = this.#next(); page && !signal.aborted; page = this.#next()) {
        const version = this.version;
        const answer = await this.fetch(page.cursor, signal);
        if (signal.aborted) return;
        const after = this.pages[this.pages.indexOf(page) + 1];
        // Where it ends elsewhere now, the next one begins there.
        if (!page.fresh && after && answer.next_cursor && after.cursor !== answer.next_cursor) Object.assign(after, { cursor: answer.next_cursor, version: -1 });
        Object.assign(page, { rows: answer.agents.map(slim), next: answer.next_cursor, version });
        if (page.fresh) this.pages.push(page);
        page.fresh = false;
        this.flat = null;
        this.total = answer.total;
        this.changed();
      }
    } catch (problem) {
      if (!signal.aborted) this.trouble = problem ?? {};
    } finally {
      if (!signal.aborted) {
        this.busy = false;
        this.changed();
      }
    }
  }
}
