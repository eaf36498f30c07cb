// The page: asks for consent, opens devices and a session, and shows what comes back.
// document.body's data-state, data-windows and data-emotion say how it stands.

import { Chart } from "./chart.js";
import { Failure, Session } from "./session.js";

const $ = (id) => document.getElementById(id);
const maxEvents = 50000; // kept for download: more than three hours
const holdBox = 1000; // ms that a box stays without news
const look = 1000; // ms between two looks at the status, and half as many after one that was not answered
const quick = 500; // ms: a look that fails sooner was refused; one that is lost on the way fails later
const refusals = 3; // in a row, by which the server is known to be gone
const patience = 20000; // ms without an answer after which it is taken for gone however that is
const comeback = 30000; // ms that a server has to come back

let config = { emotions: [], genders: [], codecs: [], token_required: false, gender: true };
let session = null; // what runs or is being opened
let opened = []; // all sessions whose results the server may still have
let stream = null;
let turn = 0; // counts starts and ends: what waited goes on only if there was none meanwhile
let closing = Promise.resolve(); // until the sessions have given their places back
let events = []; // as they came, of the last session
let latencies = []; // [when, ms]
let boxes = new Map(); // by subject: {box, at}
let reopened = 0;
let returned = 0; // how often a session was opened anew since its server had gone
const chart = new Chart($("chart"));

function active() { return ["starting", "connecting", "running", "reconnecting"].includes(document.body.dataset.state); }

function state(name, text) {
  document.body.dataset.state = name;
  if (text) $("status").textContent = text;
  const on = active();
  for (const id of ["stop", "erase"]) $(id).disabled = !on;
  if (name === "ended") $("erase").disabled = !events.length;
  $("mute-camera").disabled = !on || !stream?.getVideoTracks().length;
  $("mute-mic").disabled = !on || !stream?.getAudioTracks().length;
  $("start").disabled = on || !$("agree").checked;
  $("retry").disabled = $("start").disabled;
  $("nothing").hidden = on && !!stream?.getVideoTracks().length;
}

function problem(text) {
  $("problem").hidden = !text;
  $("problem").textContent = text || "";
}

function fail(text) {
  drop();
  problem(text);
  state("error", "Not running.");
  document.body.dataset.windows = 0;
}

// explain says what is wrong with camera or microphone, and what helps.
function explain(e, what) {
  switch (e.name) {
    case "NotAllowedError": return `The browser does not let this page use ${what}. Allow it by the icon beside the address, then start again.`;
    case "NotFoundError": return `There is no ${what} that could be used. Connect one, or choose “none” for it below.`;
    case "NotReadableError": return `The ${what} is in use by another program, or fails. Close that program, then start again.`;
    case "OverconstrainedError": return `The ${what} that was chosen is not there any more. Choose another one below.`;
  }
  return `The ${what} cannot be opened (${e.name}: ${e.message}).`;
}

// openDevices opens what is chosen, and goes on with one of the two if the other is not there.
async function openDevices() {
  const camera = $("camera").value, mic = $("mic").value;
  const want = {
    video: camera !== "none" && { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 }, ...(camera && { deviceId: { exact: camera } }) },
    audio: mic !== "none" && { channelCount: 1, ...(mic && { deviceId: { exact: mic } }) },
  };
  if (!want.video && !want.audio) throw new Error("Camera and microphone are both “none”. Choose at least one below.");
  if (!want.video || !want.audio) {
    try { return await navigator.mediaDevices.getUserMedia(want); } catch (e) { throw new Error(explain(e, want.video ? "camera" : "microphone")); }
  }
  try { return await navigator.mediaDevices.getUserMedia(want); } catch (e) {
    if (e.name === "NotAllowedError") throw new Error(explain(e, "camera and microphone"));
  }
  const faults = [];
  for (const [what, only] of [["microphone", { audio: want.audio }], ["camera", { video: want.video }]]) {
    try {
      const s = await navigator.mediaDevices.getUserMedia(only);
      problem(`${faults.length ? faults.join(" ") : "The other device could not be opened."} Going on with the ${what} alone.`);
      return s;
    } catch (e) { faults.push(explain(e, what)); }
  }
  throw new Error(faults.join(" "));
}

function closeDevices() {
  for (const t of stream?.getTracks() ?? []) t.stop();
  stream = null;
  $("self").srcObject = null;
  for (const id of ["mute-camera", "mute-mic"]) $(id).setAttribute("aria-pressed", "false");
}

// listDevices fills the choices; before the first permission browsers tell no names.
async function listDevices() {
  const all = await navigator.mediaDevices.enumerateDevices();
  for (const [id, kind] of [["camera", "videoinput"], ["mic", "audioinput"]]) {
    const select = $(id), chosen = select.value;
    const named = all.filter((d) => d.kind === kind && d.deviceId && d.label);
    select.replaceChildren(new Option("default", ""), ...named.map((d) => new Option(d.label, d.deviceId)), new Option("none", "none"));
    select.value = [...select.options].some((o) => o.value === chosen) ? chosen : "";
  }
}

// drop ends session and devices; erase lets the server forget all results. It promises that the server knows.
function drop(erase = false) {
  turn++;
  closeDevices();
  session = null;
  const closed = Promise.all(opened.map((s) => s.close(erase)));
  closing = Promise.allSettled([closing, closed]);
  closed.catch(() => {}); // where the server can't be told, it finds out itself
  if (erase) opened = [];
  return closed;
}

// start opens devices and a session, in place of what there is.
async function start() {
  if (!$("agree").checked) return;
  drop();
  const mine = turn;
  problem("");
  $("retry").hidden = true;
  state("starting", "Asking for camera and microphone…");
  let devices;
  try {
    devices = await openDevices();
  } catch (e) {
    if (mine === turn) fail(e.message);
    return;
  }
  if (mine !== turn) {
    for (const t of devices.getTracks()) t.stop();
    return;
  }
  stream = devices;
  listDevices().catch(() => {});
  for (const t of stream.getTracks()) {
    t.onended = () => problem(`The ${t.kind === "video" ? "camera" : "microphone"} has gone away. Connect it, or choose another one below.`);
  }
  $("self").srcObject = stream;
  await closing;
  if (mine !== turn) return;
  events = [];
  latencies = [];
  await open();
}

// open opens a session with the devices as they are.
async function open() {
  state("connecting", "Connecting…");
  boxes.clear();
  chart.reset(config.emotions);
  document.body.dataset.windows = 0;
  const s = session = new Session({
    stream, codec: $("codec").value, gender: config.gender && !$("no-gender").checked, token: $("token").value,
  });
  opened.push(s);
  s.addEventListener("event", (e) => {
    if (e.detail.type !== "end") { if (s === opened.at(-1)) onEvent(e.detail); } // also what comes after a stop
    else if (s === session) over();
  });
  s.addEventListener("state", (e) => { if (s === session) onState(e.detail); });
  try {
    await s.open();
  } catch (e) {
    if (s === session) refused(e);
    return;
  }
  watch(s);
}

// refused says why there is no session.
function refused(e) {
  if (!(e instanceof Failure)) {
    fail(`The connection could not be made (${e.message}).`);
  } else if (e.status === 401) {
    $("token-field").hidden = false;
    fail($("token").value ? "The token is not this server's. Type the right one, then start again." : "This server wants a token. Type it in above, then start again.");
    $("token").focus();
  } else if (e.status === 503 || e.status === 429) {
    fail("");
    wait(e.message, e.retryAfter || 10);
  } else if (e.status === 0 && e.message.startsWith("The server")) {
    fail("The server does not answer. Check your network, or whether it still runs, then start again.");
  } else {
    fail(`The server refuses the session: ${e.message}`);
  }
}

// wait counts down until it is worth trying again.
function wait(why, left) {
  const mine = turn;
  const tick = () => {
    if (mine !== turn) return;
    problem(`${why.charAt(0).toUpperCase()}${why.slice(1)}.` + (left > 0 ? ` You can try again in ${left} s.` : ""));
    $("retry").hidden = left > 0;
    if (left-- > 0) setTimeout(tick, 1000);
  };
  tick();
}

function onState(name) {
  if (name === "running") {
    problem("");
    reopened = 0;
    state("running", "Connected. Nothing is stored.");
  } else if (name === "reconnecting") {
    state("reconnecting", "The connection was interrupted. Finding a new way…");
  } else if (name === "ended") {
    over();
  } else if (name === "lost") {
    session = null;
    if (reopened++ < 3) open();
    else fail("The connection was lost and could not be made again. Check your network, then start again.");
  }
}

// over ends what shows, after the session, and says why. Where the server goes away a new session is opened.
async function over() {
  const s = session;
  s.ended = true;
  drop();
  const mine = turn;
  state("ended", "The server ended the session.");
  let cause = "shutdown", why = "The server has gone away.";
  try {
    const st = await s.status();
    cause = st.cause;
    why = `The session has ended: ${st.reason}.`;
  } catch (e) {
    if (e.status > 0 && e.status < 500) return; // it forgot the session
  }
  if (mine !== turn) return;
  if (cause === "shutdown") comesBack(why);
  else state("ended", why);
}

// gone ends what shows of a session whose server is gone.
function gone(s) {
  s.ended = true;
  drop();
  comesBack("The server has gone away.");
}

// comesBack waits for the server to take sessions, or for another one in its place, and then opens a new one. The devices
// are closed meanwhile.
async function comesBack(why) {
  const mine = turn, until = performance.now() + comeback;
  state("reconnecting", `${why} Camera and microphone are off until it is back…`);
  while (returned < 3 && performance.now() < until) {
    const ready = await fetch("/readyz", { signal: AbortSignal.timeout(2000) }).then((r) => r.ok, () => false);
    if (mine !== turn) return;
    if (ready) {
      returned++;
      return start();
    }
    await new Promise((go) => setTimeout(go, look));
    if (mine !== turn) return;
  }
  fail(`${why} Start again when it is back.`);
}

async function stop(erase) {
  const closed = drop(erase);
  boxes.clear();
  drawBoxes();
  if (erase) {
    events = [];
    chart.reset(config.emotions);
  }
  state("ended", erase ? "Stopped. The results are deleted." : "Stopped.");
  enableDownloads();
  try { await closed; } catch (e) {
    problem(`The server could not be told to ${erase ? "delete the results" : "stop"}: ${e.message} It forgets them ten minutes after the session's end.`);
  }
}

function onEvent(e) {
  if (events.length < maxEvents) events.push(e);
  if (e.type === "start") {
    buildBars(e.emotions, e.genders);
    return;
  }
  document.body.dataset.windows = Number(document.body.dataset.windows || 0) + 1;
  $("count").textContent = document.body.dataset.windows;
  enableDownloads();
  if (!$("bars").childElementCount) buildBars(config.emotions, $("no-gender").checked ? [] : config.genders);
  document.body.dataset.emotion = e.emotion?.label ?? "";
  showScores("bars", e.emotion);
  showScores("gender", e.gender);
  chart.add(e.t, e.emotion?.p);
  const used = [e.senses.audio && "voice", e.senses.video && "face"].filter(Boolean);
  const missing = [
    !e.senses.video && (stream?.getVideoTracks().some((t) => t.enabled) ? "no face is seen" : "the camera is off"),
    !e.senses.audio && (stream?.getAudioTracks().some((t) => t.enabled) ? "it is quiet, or several people are seen" : "the microphone is off"),
  ].filter(Boolean);
  $("senses").textContent = (used.join(" and ") || "none") + (missing.length ? ` (${missing.join("; ")})` : "") +
    (e.partial ? `. A first look, at ${e.covered.toFixed(2)} seconds` : "");
  document.body.dataset.partial = e.partial ? e.covered : "";
  if (e.latency_ms !== undefined) {
    const now = performance.now();
    latencies.push([now, e.latency_ms]);
    latencies = latencies.filter(([at]) => at > now - 60000);
    const sorted = latencies.map((l) => l[1]).sort((a, b) => a - b);
    $("latency").textContent = `${e.latency_ms} ms, 95 % within ${sorted[Math.ceil(sorted.length * 0.95) - 1]} ms`;
  }
  if (e.face && e.frame && stream) boxes.set(e.subject, { e, at: performance.now() });
  drawBoxes();
}

function buildBars(emotions, genders) {
  const bar = (label, colour) => {
    const row = document.createElement("div");
    row.className = "bar";
    row.dataset.label = label;
    const name = document.createElement("span");
    name.className = "name";
    name.textContent = label;
    const track = document.createElement("div");
    track.className = "track";
    track.setAttribute("role", "meter");
    track.setAttribute("aria-label", label);
    track.setAttribute("aria-valuemin", "0");
    track.setAttribute("aria-valuemax", "100");
    const fill = document.createElement("div");
    fill.className = "fill";
    fill.style.setProperty("--colour", colour);
    track.append(fill);
    const value = document.createElement("span");
    value.className = "value";
    row.append(name, track, value);
    return row;
  };
  $("bars").replaceChildren(...emotions.map((l, i) => bar(l, `var(--e${i % 7})`)));
  $("gender").replaceChildren(...genders.map((l) => bar(l, "var(--accent)")));
  $("gender").hidden = !genders.length;
}

function showScores(id, scores) {
  for (const row of $(id).children) {
    const p = scores ? Math.round(100 * (scores.p[row.dataset.label] ?? 0)) : 0;
    row.querySelector(".fill").style.width = `${p}%`;
    row.querySelector(".track").setAttribute("aria-valuenow", p);
    row.querySelector(".value").textContent = scores ? `${p} %` : "–";
    row.querySelector(".name").classList.toggle("top", scores?.label === row.dataset.label);
  }
}

// drawBoxes puts a box with a label on each face. The picture is shown whole and mirrored.
function drawBoxes() {
  const now = performance.now(), view = $("boxes").getBoundingClientRect();
  const shown = [];
  for (const [subject, { e, at }] of boxes) {
    if (now - at > holdBox) {
      boxes.delete(subject);
      continue;
    }
    const scale = Math.min(view.width / e.frame.w, view.height / e.frame.h);
    const left = (view.width - scale * e.frame.w) / 2, top = (view.height - scale * e.frame.h) / 2;
    const box = document.createElement("div");
    box.className = "box";
    box.style.left = `${left + scale * (e.frame.w - e.face.x - e.face.w)}px`;
    box.style.top = `${top + scale * e.face.y}px`;
    box.style.width = `${scale * e.face.w}px`;
    box.style.height = `${scale * e.face.h}px`;
    box.style.setProperty("--box", `var(--e${Math.max(0, config.emotions.indexOf(e.emotion?.label)) % 7})`);
    const label = document.createElement("span");
    label.textContent = [e.emotion?.label, e.gender?.label].filter(Boolean).join(" · ") || "face";
    box.append(label);
    shown.push(box);
  }
  $("boxes").replaceChildren(...shown);
}

// watch looks at a session's status until it is over, and notices a server that does not answer. It is gone if it refuses
// to, as a machine does whose program has ended, while nothing comes by the connection either; a network that is out for
// a while loses what is asked, and the session goes on after it.
async function watch(s) {
  let since = 0, refused = 0; // since when nothing comes
  while (s === session) {
    drawBoxes();
    const received = await s.received(), asked = performance.now();
    const answered = await refresh(s);
    if (s !== session) return;
    if (answered) {
      if (since && s.connected) onState("running");
      since = refused = 0;
    } else if (await s.received() > received) {
      since = refused = 0; // what is out is no more than the way to its pages
    } else {
      const now = performance.now();
      if (s !== session) return;
      since ||= asked;
      refused = now - asked < quick && navigator.onLine ? refused + 1 : 0;
      if (refused >= refusals || now - since > patience) return gone(s);
      if (now - since >= look) state("reconnecting", "The server does not answer. Trying to reach it…");
    }
    await new Promise((go) => setTimeout(go, answered ? look : look / 2));
  }
}

// refresh shows the session's status, and says whether the server answered.
async function refresh(s) {
  try {
    const st = await s.status();
    if (s !== session) return true;
    $("drops").textContent = `${st.dropped.frames} pictures, ${(st.dropped.samples / 16000).toFixed(1)} s of sound, ${st.dropped.windows} windows`;
    if (st.state === "ended") over();
    return true;
  } catch (e) {
    if (s === session && e.status === 404) onState(s.ended ? "ended" : "lost"); // a server that was started anew knows none
    return e.status > 0 && e.status < 500; // a proxy answers 502 and more for a server that is gone
  }
}

function enableDownloads() {
  const some = events.some((e) => e.type === "window");
  for (const id of ["csv", "jsonl"]) $(id).disabled = !some;
}

function download(name, type, text) {
  const a = document.createElement("a");
  a.href = URL.createObjectURL(new Blob([text], { type }));
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 10000);
}

// toCSV has the columns of docs/output.md.
function toCSV() {
  const first = events.find((e) => e.type === "start") ?? { source: "whip", emotions: config.emotions, genders: config.genders };
  const tasks = [["emotion", first.emotions], ["gender", first.genders]].filter(([, l]) => l.length);
  const head = ["source", "t", "start", "end", "subject", ...tasks.flatMap(([task, ls]) => [task, ...ls.map((l) => `${task}_${l}`)]),
    "audio", "video", "face_x", "face_y", "face_w", "face_h", "face_score", "latency_ms", "covered"];
  const cell = (v) => { const s = String(v ?? ""); return /[",\n]/.test(s) ? `"${s.replaceAll('"', '""')}"` : s; };
  const rows = events.filter((e) => e.type === "window").map((e) => [
    first.source, e.t, e.start, e.end, e.subject, ...tasks.flatMap(([task, ls]) => [e[task]?.label, ...ls.map((l) => e[task]?.p[l])]),
    e.senses.audio, e.senses.video, e.face?.x, e.face?.y, e.face?.w, e.face?.h, e.face?.score, e.latency_ms, e.covered,
  ]);
  return [head, ...rows].map((r) => r.map(cell).join(",") + "\n").join("");
}

// again opens a running session anew, for a choice to take effect.
function again() { if (active()) start(); }

function mute(id, tracks) {
  const off = $(id).getAttribute("aria-pressed") !== "true";
  $(id).setAttribute("aria-pressed", String(off));
  for (const t of tracks) t.enabled = !off;
}

async function init() {
  $("host").textContent = location.host;
  $("agree").addEventListener("change", () => {
    if (!$("agree").checked && active()) stop(false);
    else state(document.body.dataset.state);
  });
  for (const id of ["start", "retry"]) $(id).addEventListener("click", () => {
    returned = 0;
    start();
  });
  $("stop").addEventListener("click", () => stop(false));
  $("erase").addEventListener("click", () => stop(true));
  $("mute-camera").addEventListener("click", () => mute("mute-camera", stream.getVideoTracks()));
  $("mute-mic").addEventListener("click", () => mute("mute-mic", stream.getAudioTracks()));
  $("csv").addEventListener("click", () => download("events.csv", "text/csv", toCSV()));
  $("jsonl").addEventListener("click", () => download("events.jsonl", "application/jsonl", events.map((e) => JSON.stringify(e) + "\n").join("")));
  for (const id of ["camera", "mic", "codec"]) $(id).addEventListener("change", again);
  $("no-gender").addEventListener("change", () => {
    document.body.classList.toggle("no-gender", $("no-gender").checked);
    again();
  });
  addEventListener("keydown", (e) => { if (e.key === "Escape" && !$("stop").disabled) stop(false); });
  addEventListener("resize", drawBoxes);
  addEventListener("pagehide", () => {
    for (const s of opened) s.leave();
  });
  if (!window.isSecureContext) return fail("Browsers give camera and microphone to pages over HTTPS or on localhost only. Open this page that way.");
  if (!window.RTCPeerConnection) return fail("This browser has no WebRTC. Use a current Firefox, Chrome, Edge or Safari.");
  if (!navigator.mediaDevices?.getUserMedia) return fail("This browser gives pages no camera or microphone. Use a current Firefox, Chrome, Edge or Safari.");
  navigator.mediaDevices.addEventListener("devicechange", () => listDevices().catch(() => {}));
  listDevices().catch(() => {});
  try {
    config = await (await fetch("/config")).json();
  } catch {
    return fail("The server does not answer. Check your network, then load the page again.");
  }
  $("token-field").hidden = !config.token_required;
  if (!config.gender) document.body.classList.add("no-gender");
  $("gender-switch").hidden = !config.gender;
  buildBars(config.emotions, config.genders);
  chart.reset(config.emotions);
  state("idle");
}

init();
