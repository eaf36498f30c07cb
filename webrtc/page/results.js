// What comes back: bars, boxes, words, and the files to download.

import { ownColour, speaks } from "./speech.js";
import { labelText, text } from "./texts.js";

const $ = (id) => document.getElementById(id);
const holdBox = 1000; // ms that a box stays without news
const away = 1; // seconds without a subject, after which another's scores are shown
const lately = 4; // answers, of which it is said how many used both senses

// Results shows the events of a session; config is the server's, covers the length of a window in seconds.
export class Results {
  mirrored = true; // the picture is shown as in a mirror
  #config; #boxes = new Map(); #latencies = []; #both = [];
  #whose = { subject: -1, t: 0 }; // whose scores are shown, and of when
  #several = false; // subjects were seen

  constructor(config) { this.#config = config; }

  // reset forgets what was shown.
  reset() {
    this.#boxes.clear();
    this.#latencies = [];
    this.#both = [];
    this.#whose = { subject: -1, t: 0 };
    this.#several = false;
    $("whose").hidden = true;
    this.drawBoxes();
    this.bars(this.#config.emotions, this.#config.genders);
    for (const id of ["speaker", "senses", "share", "latency", "drops"]) $(id).textContent = "";
  }

  // show shows an answer; live says which of the stream's tracks are on. Of several subjects the scores are those of who
  // spoke last.
  show(e, live) {
    if (e.face && e.frame && live.shown) this.#boxes.set(e.subject, { e, at: performance.now() });
    this.drawBoxes();
    this.#several ||= this.#whose.subject >= 0 && this.#whose.subject !== e.subject;
    if (speaks(e) || this.#whose.subject < 0 || e.t - this.#whose.t > away) this.#whose = { subject: e.subject, t: e.t };
    if (e.subject !== this.#whose.subject) return;
    this.#whose.t = e.t;
    this.#speaker(e);
    const body = document.body.dataset;
    body.emotion = e.emotion?.label ?? "";
    body.partial = e.partial ? e.covered : "";
    const used = [e.senses.audio && "voice", e.senses.video && "face"].filter(Boolean);
    body.senses = used.join(" ");
    this.#scores("bars", e.emotion);
    this.#scores("gender", e.gender);
    const missing = [
      !e.senses.video && text(live.video ? "noFace" : "cameraOff"), !e.senses.audio && text(live.audio ? "noVoice" : "micOff"),
    ].filter(Boolean);
    $("senses").textContent = (used.length ? text("senses", { used: used.map((u) => text(u)).join(text("and")) }) : text("nothing")) +
      (missing.length ? ` (${missing.join("; ")})` : "");
    this.#both.push(used.length === 2);
    this.#both = this.#both.slice(-lately);
    $("share").textContent = `${text("shareOfWindows", { n: this.#both.filter(Boolean).length, of: this.#both.length })}; ` +
      (e.partial ? text("firstLook", { seconds: e.covered.toFixed(2) }) : text("covers", { seconds: this.#config.window.toFixed(1) }));
    if (e.latency_ms !== undefined) this.#latency(e.latency_ms);
  }

  // speaker says whose the scores are, where there are several subjects, and whether it speaks.
  #speaker(e) {
    $("whose").hidden = !this.#several;
    $("whose").textContent = text("subject", { n: e.subject });
    $("whose").style.setProperty("--own", ownColour(e.subject));
    $("speaker").textContent = speaks(e) ? text("speaksNow", { who: text("subject", { n: e.subject }) }) :
      text(e.voice ? "unknownSpeaks" : "nobodySpeaks");
  }

  #latency(ms) {
    const now = performance.now();
    this.#latencies.push([now, ms]);
    this.#latencies = this.#latencies.filter(([at]) => at > now - 60000);
    const sorted = this.#latencies.map((l) => l[1]).sort((a, b) => a - b);
    document.body.dataset.latency = ms;
    $("latency").textContent = text("late", { ms, p95: sorted[Math.ceil(sorted.length * 0.95) - 1] });
  }

  // lost says what was dropped.
  lost(d) {
    const values = { frames: d.frames, seconds: (d.samples / 16000).toFixed(1), windows: d.windows };
    $("drops").textContent = text(d.frames + d.samples + d.windows ? "wasLost" : "nothingLost", values);
  }

  bars(emotions, genders) {
    const bar = (label, colour) => {
      const row = document.createElement("div");
      row.className = "bar";
      row.dataset.label = label;
      const name = document.createElement("span");
      name.className = "name";
      name.textContent = labelText(label);
      const track = document.createElement("div");
      track.className = "track";
      for (const [k, v] of [["role", "meter"], ["aria-label", labelText(label)], ["aria-valuemin", 0], ["aria-valuemax", 100], ["aria-valuenow", 0]]) {
        track.setAttribute(k, v);
      }
      const fill = document.createElement("div");
      fill.className = "fill";
      fill.style.setProperty("--colour", colour);
      track.append(fill);
      const value = document.createElement("span");
      value.className = "value";
      value.textContent = "–";
      row.append(name, track, value);
      return row;
    };
    $("bars").replaceChildren(...emotions.map((l, i) => bar(l, `var(--e${i % 7})`)));
    $("gender").replaceChildren(...genders.map((l) => bar(l, "var(--accent)")));
    $("gender").hidden = !genders.length;
  }

  #scores(id, scores) {
    for (const row of $(id).children) {
      const p = scores ? Math.round(100 * (scores.p[row.dataset.label] ?? 0)) : 0;
      row.querySelector(".fill").style.width = `${p}%`;
      row.querySelector(".track").setAttribute("aria-valuenow", p);
      row.querySelector(".value").textContent = scores ? `${p} %` : "–";
      row.querySelector(".name").classList.toggle("top", scores?.label === row.dataset.label);
    }
  }

  // drawBoxes puts a box with a label on each face. The picture is shown whole.
  drawBoxes() {
    const now = performance.now(), view = $("boxes").getBoundingClientRect();
    const shown = [];
    for (const [subject, { e, at }] of this.#boxes) {
      if (now - at > holdBox) {
        this.#boxes.delete(subject);
        continue;
      }
      const scale = Math.min(view.width / e.frame.w, view.height / e.frame.h);
      const left = (view.width - scale * e.frame.w) / 2, top = (view.height - scale * e.frame.h) / 2;
      const x = this.mirrored ? e.frame.w - e.face.x - e.face.w : e.face.x;
      const box = document.createElement("div");
      box.className = speaks(e) ? "box speaks" : "box";
      box.style.left = `${left + scale * x}px`;
      box.style.top = `${top + scale * e.face.y}px`;
      box.style.width = `${scale * e.face.w}px`;
      box.style.height = `${scale * e.face.h}px`;
      box.style.setProperty("--own", ownColour(subject));
      box.style.setProperty("--colour", `var(--e${Math.max(0, this.#config.emotions.indexOf(e.emotion?.label)) % 7})`);
      const label = document.createElement("span"), key = document.createElement("i");
      key.hidden = !e.emotion;
      const said = [e.emotion?.label, e.gender?.label].filter(Boolean).map(labelText);
      if (speaks(e)) said.push(text("speaks"));
      label.append(`${subject} `, key, said.join(" · ") || text("face"));
      box.append(label);
      shown.push(box);
    }
    $("boxes").replaceChildren(...shown);
  }
}

export function download(name, type, content) {
  const a = document.createElement("a");
  a.href = URL.createObjectURL(new Blob([content], { type }));
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 10000);
}

// toCSV has the columns of docs/output.md.
export function toCSV(events, config) {
  const first = events.find((e) => e.type === "start") ?? { source: "whip", emotions: config.emotions, genders: config.genders };
  const tasks = [["emotion", first.emotions], ["gender", first.genders]].filter(([, l]) => l.length);
  const head = ["source", "t", "start", "end", "subject", ...tasks.flatMap(([task, ls]) => [task, ...ls.map((l) => `${task}_${l}`)]),
    "audio", "video", "face_x", "face_y", "face_w", "face_h", "face_score", "latency_ms", "covered", "speaking", "voice"];
  const cell = (v) => { const s = String(v ?? ""); return /[",\n]/.test(s) ? `"${s.replaceAll('"', '""')}"` : s; };
  const rows = events.filter((e) => e.type === "window").map((e) => [
    first.source, e.t, e.start, e.end, e.subject, ...tasks.flatMap(([task, ls]) => [e[task]?.label, ...ls.map((l) => e[task]?.p[l])]),
    e.senses.audio, e.senses.video, e.face?.x, e.face?.y, e.face?.w, e.face?.h, e.face?.score, e.latency_ms, e.covered, e.speaking, e.voice,
  ]);
  return [head, ...rows].map((r) => r.map(cell).join(",") + "\n").join("");
}
