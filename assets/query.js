// The search line as the page needs it: its parts for chips, and how well a row matches. The gateway alone decides what
// is found; this only puts rows of several sites in order before its summary has.

const SPELLED = { ß: 'ss', æ: 'ae', œ: 'oe', ø: 'o', đ: 'd', ð: 'd', ł: 'l', ħ: 'h', ı: 'i', þ: 'th', ς: 'σ' };

/** Without case and accents. */
export const fold = (text) =>
  String(text).normalize('NFD').replace(/[\u0300-\u036f]/g, '').toLowerCase().normalize('NFC')
    .replace(/[ßæœøđðłħıþς]/g, (c) => SPELLED[c]);

/** The parts of a line, each with its place: quotes hold spaces together. */
export function parts(line) {
  const found = [];
  for (const match of line.matchAll(/(?:[^\s"/]|"[^"]*"?|\/(?:[^/\\]|\\.)*\/?)+/g)) {
    const text = match[0];
    const field = /^(-?)([a-z]+):(.*)$/is.exec(text);
    found.push({
      text, from: match.index, to: match.index + text.length,
      negated: text.startsWith('-'), field: field ? field[2].toLowerCase() : null, value: field ? field[3] : text.replace(/^-/, ''),
    });
  }
  return found;
}

/** The words that rank rows. */
export const words = (line) =>
  parts(line).filter((part) => !part.field && !part.negated).map((part) => fold(part.value.replaceAll('"', ''))).filter(Boolean);

function matches(text, word) {
  if (!text.includes(word)) return 4;
  if (text === word) return 0;
  if (text.startsWith(word)) return 1;
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    if (!/[\p{L}\p{N}]$/u.test(text.slice(0, at))) return 2;
  }
  return 3;
}

/** How well a row matches, smaller is better: the weakest class over the words, then the best field. */
export function rank(agent, all) {
  if (all.length === 0) return 0;
  const fields = [[agent.alias], [agent.name], [agent.address], agent.groups, [agent.os]];
  let [worst, best] = [0, 9];
  for (const word of all) {
    let found = 49;
    fields.forEach((texts, field) => {
      for (const text of texts) {
        const kind = matches(fold(text), word);
        if (kind < 4) found = Math.min(found, kind * 10 + field);
      }
    });
    worst = Math.max(worst, Math.floor(found / 10));
    best = Math.min(best, found % 10);
  }
  return worst * 10 + best;
}
