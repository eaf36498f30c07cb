// Who spoke when, and with what emotion: a row for each of the last 60 seconds. Turns are those of docs/output.md.

import { labelText, text } from "./texts.js";

const span = 60; // seconds
const certain = 0.5; // of "speaking", from which on a subject speaks
const joinWithin = 0.3; // seconds: a shorter pause belongs to the turn
const knownWithin = 0.5; // seconds that it takes to know whose a voice is
const ownColours = 8; // --s0 to --s7
const unknown = -1; // whose the voice is is not known

// ownColour is the colour by which a subject is shown, beside its number.
export function ownColour(subject) { return subject === unknown ? "var(--unknown)" : `var(--s${subject % ownColours})`; }

// speaks says whether an event's subject speaks in the hop before its time.
export function speaks(e) {
  if (!e.voice) return false;
  return e.speaking !== undefined ? e.speaking >= certain : e.senses.audio && e.senses.video;
}

// Turns puts the events of windows together to turns, {subject, from, to}, which do not overlap.
export class Turns {
  all = []; // the newest last
  #hop; #at = 0; #voice = false; #who = unknown;

  constructor(hop) { this.#hop = hop; }

  add(e) {
    if (e.t !== this.#at) {
      this.close();
      this.#at = e.t;
      this.#voice = false;
      this.#who = unknown;
    }
    this.#voice ||= !!e.voice;
    if (speaks(e) && this.#who === unknown) this.#who = e.subject;
  }

  // close takes the windows of one time. Without it those of the newest are not in all yet.
  close() {
    if (!this.#voice) return;
    this.#voice = false;
    let last = this.all.at(-1), from = Math.max(this.#at - this.#hop, last?.to ?? 0);
    if (last?.subject === unknown && this.#who !== unknown && from - last.to < joinWithin) { // it is known now
      from = last.to = Math.max(last.from, last.to - knownWithin);
      if (last.from === from) {
        this.all.pop();
        last = this.all.at(-1);
      }
    }
    if (last?.subject === this.#who && from - last.to < joinWithin) last.to = this.#at;
    else this.all.push({ subject: this.#who, from, to: this.#at });
  }
}

export class Speech {
  #box; #emotions = []; #hop = 0.25; #turns; #last = -1; // time of the newest answer
  #shown = new Map(); // of each subject, what it showed: {from, to, label}

  constructor(box) { this.#box = box; this.reset([], 0.25); }

  // reset starts anew; hop is the time from one answer to the next, in seconds.
  reset(emotions, hop) {
    this.#emotions = emotions;
    this.#hop = hop;
    this.#turns = new Turns(hop);
    this.#last = -1;
    this.#shown.clear();
    this.#box.replaceChildren();
  }

  // add takes the next answer.
  add(e) {
    const newer = e.t !== this.#last;
    this.#turns.add(e);
    const shown = this.#shown.get(e.subject) ?? [];
    this.#shown.set(e.subject, shown);
    const last = shown.at(-1), label = e.emotion?.label ?? "", from = Math.max(e.t - this.#hop, 0);
    if (last && last.label === label && from - last.to < this.#hop / 2) last.to = e.t;
    else shown.push({ from: Math.max(from, last?.to ?? 0), to: e.t, label });
    if (newer) this.#draw(e.t); // what was said up to the answers before
    this.#last = e.t;
  }

  #draw(now) {
    const begin = now - span;
    while (this.#turns.all.length && this.#turns.all[0].to < begin) this.#turns.all.shift();
    for (const [subject, shown] of this.#shown) {
      while (shown.length && shown[0].to < begin) shown.shift();
      if (!shown.length) this.#shown.delete(subject);
    }
    const rows = new Map();
    for (const t of this.#turns.all) rows.set(t.subject, [...(rows.get(t.subject) ?? []), t]);
    const order = [...rows.keys()].sort((a, b) => (a === unknown) - (b === unknown) || a - b);
    this.#box.replaceChildren(...order.map((subject) => this.#row(subject, rows.get(subject), begin)));
  }

  #row(subject, turns, begin) {
    const row = element("div", "lane"), track = element("div", "turns");
    row.style.setProperty("--own", ownColour(subject));
    row.append(element("span", "own", subject === unknown ? "?" : String(subject)), track);
    let seconds = 0;
    const labels = new Set();
    for (const turn of turns) {
      seconds += turn.to - Math.max(turn.from, begin);
      for (const part of this.#parts(turn)) {
        const left = Math.max(part.from - begin, 0) / span, width = (part.to - Math.max(part.from, begin)) / span;
        if (width <= 0) continue;
        const said = element("div", "said", part.label && labelText(part.label));
        said.style.left = `${100 * left}%`;
        said.style.width = `${100 * width}%`;
        if (part.label) {
          said.style.setProperty("--colour", `var(--e${Math.max(0, this.#emotions.indexOf(part.label)) % 7})`);
          labels.add(labelText(part.label));
        }
        track.append(said);
      }
    }
    const who = subject === unknown ? text("unknownSpeaker") : text("subject", { n: subject });
    row.setAttribute("role", "img");
    row.setAttribute("aria-label", text("spoke", { who, seconds: seconds.toFixed(1), labels: [...labels].join(", ") || "–" }));
    row.title = row.getAttribute("aria-label");
    return row;
  }

  // parts are those of a turn in which its subject showed one emotion.
  #parts(turn) {
    const parts = [];
    let at = turn.from;
    const put = (to, label) => {
      if (to > at) parts.push({ from: at, to, label });
      at = Math.max(at, to);
    };
    for (const s of this.#shown.get(turn.subject) ?? []) {
      if (s.to <= at) continue;
      if (s.from >= turn.to) break;
      put(Math.min(s.from, turn.to), "");
      put(Math.min(s.to, turn.to), s.label);
    }
    put(turn.to, "");
    return parts;
  }
}

function element(tag, name, words = "") {
  const e = document.createElement(tag);
  e.className = name;
  e.textContent = words;
  return e;
}
