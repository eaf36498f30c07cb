// The page: asks for consent, opens devices or a file and a session, and shows what comes back.
// document.body's data-state, data-windows, data-emotion, data-senses and data-problem say how it stands.

import { Chart } from "./chart.js";
import { Results, download, toCSV } from "./results.js";
import { Failure, Session } from "./session.js";
import { Speech } from "./speech.js";
import { listDevices, openDevices, openFile } from "./source.js";
import { text, translate } from "./texts.js";

const $ = (id) => document.getElementById(id);
const maxEvents = 50000; // kept for download: more than three hours
const look = 1000; // ms between two looks at the status, and half as many after one that was not answered
const quick = 500; // ms: a look that fails sooner was refused; one that is lost on the way fails later
const refusals = 3; // in a row, by which the server is known to be gone
const patience = 20000; // ms without an answer after which it is taken for gone however that is
const comeback = 30000; // ms that a server has to come back

let config = { emotions: [], genders: [], codecs: [], token_required: false, gender: true, window: 0, keep_seconds: 600 };
let session = null; // what runs or is being opened
let opened = []; // all sessions whose results the server may still have
let stream = null;
let file = null; // {url, name, loop} in place of camera and microphone
let turn = 0; // counts starts and ends: what waited goes on only if there was none meanwhile
let closing = Promise.resolve(); // until the sessions have given their places back
let events = []; // as they came, of the last session
let reopened = 0;
let returned = 0; // how often a session was opened anew since its server had gone
let results = new Results(config);
const chart = new Chart($("chart"));
const speech = new Speech($("speech"));

function active() { return ["starting", "connecting", "running", "reconnecting"].includes(document.body.dataset.state); }
function minutes() { return Math.round(config.keep_seconds / 60); }

function state(name, words) {
  document.body.dataset.state = name;
  if (words) $("status").textContent = words;
  const on = active();
  document.body.classList.toggle("has-results", events.some((e) => e.type === "window"));
  for (const id of ["stop", "erase"]) $(id).disabled = !on;
  if (name === "ended") $("erase").disabled = !events.length;
  $("erase").textContent = text(on ? "erase" : "eraseResults");
  $("mute-camera").disabled = !on || !stream?.getVideoTracks().length;
  $("mute-mic").disabled = !on || !stream?.getAudioTracks().length;
  $("start").disabled = on || !$("agree").checked;
  $("retry").disabled = $("start").disabled;
  $("nothing").hidden = !on || !stream || !!stream.getVideoTracks().length;
}

// problem says what is wrong. code tells who refuses: "browser", "server" or "network".
function problem(words, code = "") {
  $("problem").hidden = !words;
  $("problem").textContent = words || "";
  document.body.dataset.problem = words ? code : "";
}

function fail(words, code) {
  drop();
  problem(words, code);
  state("error", text("notRunning"));
  document.body.dataset.windows = 0;
}

function closeDevices() {
  for (const t of stream?.getTracks() ?? []) t.stop();
  stream = null;
  const self = $("self");
  self.pause();
  self.srcObject = null;
  if (self.getAttribute("src")) {
    self.removeAttribute("src");
    self.load();
  }
  for (const id of ["mute-camera", "mute-mic"]) $(id).setAttribute("aria-pressed", "false");
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

// begin starts with camera and microphone, or with a file.
function begin(what) {
  if (file?.blob) URL.revokeObjectURL(file.url);
  file = what;
  returned = 0;
  start();
}

// start opens what is to be sent and a session, in place of what there is.
async function start() {
  if (!file && !$("agree").checked) return;
  drop();
  const mine = turn;
  problem("");
  $("retry").hidden = true;
  state("starting", text("checking"));
  $("stop").focus();
  if (!await tokenFits()) return;
  if (mine !== turn) return;
  state("starting", text(file ? "opening" : "asking"));
  let devices;
  try {
    devices = file ? await openFile($("self"), file.url, file.name, file.loop) :
      await openDevices($("camera").value, $("mic").value, (words) => problem(words, "browser"));
  } catch (e) {
    if (mine === turn) fail(e.message, "browser");
    return;
  }
  if (mine !== turn) {
    for (const t of devices.getTracks()) t.stop();
    return;
  }
  stream = devices;
  results.mirrored = !file;
  $("self").classList.toggle("mirrored", !file);
  if (file) {
    $("self").onended = () => stop(false, text("fileEnded"));
  } else {
    $("self").onended = null;
    listDevices().catch(() => {});
    for (const t of stream.getTracks()) {
      t.onended = () => problem(text("wentAway", { what: text(t.kind === "video" ? "camera" : "microphone") }), "browser");
    }
    $("self").srcObject = stream;
  }
  await closing;
  if (mine !== turn) return;
  events = [];
  await open();
}

// tokenFits asks whether the token is the server's, before the camera opens; if not it says so.
async function tokenFits() {
  if (!config.token_required) return true;
  const mine = turn, token = $("token").value;
  let status = 401;
  if (token) {
    try {
      status = (await fetch("/whip", { headers: { Authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(10000) })).status;
    } catch {
      if (mine === turn) fail(text("unanswered"), "network");
      return false;
    }
  }
  if (mine !== turn) return false;
  if (status === 401) unknownToken();
  return status !== 401; // what else there is to say is said when the session is asked for
}

function unknownToken() {
  $("token-field").hidden = false;
  fail(text($("token").value ? "wrongToken" : "needsToken"), "server");
  $("token").focus();
}

// open opens a session with the devices as they are.
async function open() {
  results.reset();
  state("connecting", text("connecting"));
  chart.reset(config.emotions);
  speech.reset(config.emotions, 0.25);
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
  if (!(e instanceof Failure)) fail(text("failed", { error: e.message }), "browser");
  else if (e.code === "codec") fail(text("noCodec", { codec: $("codec").value.slice(6) }), "browser");
  else if (e.code === "unanswered") fail(text("unanswered"), "network");
  else if (e.status === 401) unknownToken();
  else if (e.status === 503 || e.status === 429) {
    fail("");
    wait(e.message, e.retryAfter || 10);
  } else fail(text("refused", { why: e.message }), "server");
}

// wait counts down until it is worth trying again.
function wait(why, left) {
  const mine = turn;
  const tick = () => {
    if (mine !== turn) return;
    const words = why.charAt(0).toUpperCase() + why.slice(1);
    problem(left > 0 ? text("tryAgainIn", { why: words, seconds: left }) : `${words}.`, "server");
    $("retry").hidden = left > 0;
    if (left-- > 0) setTimeout(tick, 1000);
  };
  tick();
}

function onState(name) {
  if (name === "running") {
    problem("");
    reopened = 0;
    state("running", text("running"));
  } else if (name === "reconnecting") {
    state("reconnecting", text("interrupted"));
  } else if (name === "ended") {
    over();
  } else if (name === "lost") {
    session = null;
    if (reopened++ < 3) open();
    else fail(text("lost"), "network");
  }
}

// over ends what shows, after the session, and says why. Where the server goes away a new session is opened.
async function over() {
  const s = session;
  s.ended = true;
  drop();
  const mine = turn;
  state("ended", text("serverEnded"));
  let cause = "shutdown", why = text("serverGone");
  try {
    const st = await s.status();
    cause = st.cause;
    why = text("sessionEnded", { reason: st.reason });
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
  comesBack(text("serverGone"));
}

// comesBack waits for the server to take sessions, or for another one in its place, and then opens a new one. The devices
// are closed meanwhile.
async function comesBack(why) {
  const mine = turn, until = performance.now() + comeback;
  state("reconnecting", text("waiting", { why }));
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
  fail(text("startAgain", { why }), "network");
}

async function stop(erase, why = "") {
  const closed = drop(erase);
  if (erase) {
    events = [];
    chart.reset(config.emotions);
    speech.reset(config.emotions, 0.25);
    results.reset();
  }
  const time = new Date(Date.now() + 1000 * config.keep_seconds).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
  state("ended", erase ? text("erased") : `${why} ${text("stopped", { time })}`.trim());
  enableDownloads();
  $("start").focus();
  try { await closed; } catch (e) {
    problem(text("untold", { error: e.message, minutes: minutes() }), "network");
  }
}

function onEvent(e) {
  if (events.length < maxEvents) events.push(e);
  if (e.type === "start") {
    results.bars(e.emotions, e.genders);
    speech.reset(e.emotions, e.hop);
    return;
  }
  document.body.dataset.windows = Number(document.body.dataset.windows || 0) + 1;
  document.body.classList.add("has-results");
  enableDownloads();
  if (!$("bars").childElementCount) results.bars(config.emotions, $("no-gender").checked ? [] : config.genders);
  chart.add(e.t, e.emotion?.p);
  speech.add(e);
  const on = (tracks) => !!tracks?.some((t) => t.enabled);
  results.show(e, { video: on(stream?.getVideoTracks()), audio: on(stream?.getAudioTracks()), shown: !!stream });
}

// watch looks at a session's status until it is over, and notices a server that does not answer. It is gone if it refuses
// to, as a machine does whose program has ended, while nothing comes by the connection either; a network that is out for
// a while loses what is asked, and the session goes on after it.
async function watch(s) {
  let since = 0, refused = 0; // since when nothing comes
  while (s === session) {
    results.drawBoxes();
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
      if (now - since >= look) state("reconnecting", text("silent"));
    }
    await new Promise((go) => setTimeout(go, answered ? look : look / 2));
  }
}

// refresh shows the session's status, and says whether the server answered.
async function refresh(s) {
  try {
    const st = await s.status();
    if (s !== session) return true;
    results.lost(st.dropped);
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
  document.body.classList.toggle("has-results", some);
}

// again opens a running session anew, for a choice to take effect.
function again() { if (active()) start(); }

function mute(id, tracks) {
  const off = $(id).getAttribute("aria-pressed") !== "true";
  $(id).setAttribute("aria-pressed", String(off));
  for (const t of tracks) t.enabled = !off;
}

function take(f) { if (f) begin({ url: URL.createObjectURL(f), name: f.name, loop: false, blob: true }); }

// dropping takes a file that is dropped anywhere on the page.
function dropping() {
  const over = (on) => document.body.classList.toggle("dropping", on);
  for (const type of ["dragover", "dragenter"]) addEventListener(type, (e) => { e.preventDefault(); over(true); });
  addEventListener("dragleave", (e) => { if (!e.relatedTarget) over(false); });
  addEventListener("drop", (e) => {
    e.preventDefault();
    over(false);
    take(e.dataTransfer.files[0]);
  });
}

function listen() {
  $("agree").addEventListener("change", () => {
    if (!$("agree").checked && active() && !file) stop(false);
    else state(document.body.dataset.state);
  });
  $("begin").addEventListener("submit", (e) => {
    e.preventDefault();
    if (!$("start").disabled) begin(null);
  });
  $("retry").addEventListener("click", (e) => { e.preventDefault(); returned = 0; start(); });
  $("pattern").addEventListener("click", () => begin({ url: "/pattern.webm", name: text("pattern"), loop: true }));
  $("file").addEventListener("change", () => { take($("file").files[0]); $("file").value = ""; });
  dropping();
  $("stop").addEventListener("click", () => stop(false));
  $("erase").addEventListener("click", () => stop(true));
  $("mute-camera").addEventListener("click", () => mute("mute-camera", stream.getVideoTracks()));
  $("mute-mic").addEventListener("click", () => mute("mute-mic", stream.getAudioTracks()));
  $("csv").addEventListener("click", () => download("events.csv", "text/csv", toCSV(events, config)));
  $("jsonl").addEventListener("click", () => download("events.jsonl", "application/jsonl", events.map((e) => JSON.stringify(e) + "\n").join("")));
  for (const id of ["camera", "mic", "codec"]) $(id).addEventListener("change", again);
  $("no-gender").addEventListener("change", () => {
    document.body.classList.toggle("no-gender", $("no-gender").checked);
    again();
  });
  addEventListener("keydown", (e) => { if (e.key === "Escape" && !$("stop").disabled) stop(false); });
  addEventListener("resize", () => results.drawBoxes());
  addEventListener("pagehide", () => {
    for (const s of opened) s.leave();
  });
}

// consent says what is agreed to.
function consent() {
  $("what").textContent = text(config.gender ? "whatGender" : "what", { host: location.host });
  $("stored").textContent = text("consentStored", { minutes: minutes() });
}

async function init() {
  translate();
  consent();
  listen();
  if (!window.RTCPeerConnection) return fail(text("noWebRTC"), "browser");
  try {
    config = { ...config, ...await (await fetch("/config")).json() };
  } catch {
    return fail(text("unansweredLoad"), "network");
  }
  results = new Results(config);
  consent();
  $("token-field").hidden = !config.token_required;
  if (!config.gender) document.body.classList.add("no-gender");
  $("gender-switch").hidden = !config.gender;
  results.bars(config.emotions, config.genders);
  chart.reset(config.emotions);
  if (!window.isSecureContext) return fail(text("insecure"), "browser");
  if (!navigator.mediaDevices?.getUserMedia) return fail(text("noDevices"), "browser");
  navigator.mediaDevices.addEventListener("devicechange", () => listDevices().catch(() => {}));
  listDevices().catch(() => {});
  state("idle");
}

init();
