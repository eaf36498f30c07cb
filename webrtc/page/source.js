// What is sent: camera and microphone, or a video file.

import { text } from "./texts.js";

// explain says what is wrong with a device, and what helps.
function explain(e, what) {
  switch (e.name) {
    case "NotAllowedError": return text("denied");
    case "NotFoundError": return text("notFound", { what });
    case "NotReadableError": return text("inUse", { what });
    case "OverconstrainedError": return text("notThere", { what });
  }
  return text("cannotOpen", { what, error: `${e.name}: ${e.message}` });
}

// openDevices opens what is chosen, and goes on with one of the two if the other is not there; remark is told that then.
export async function openDevices(camera, mic, remark) {
  const want = {
    video: camera !== "none" && { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 }, ...(camera && { deviceId: { exact: camera } }) },
    audio: mic !== "none" && { channelCount: 1, ...(mic && { deviceId: { exact: mic } }) },
  };
  const media = navigator.mediaDevices;
  if (!want.video && !want.audio) throw new Error(text("bothNone"));
  if (!want.video || !want.audio) {
    try { return await media.getUserMedia(want); } catch (e) { throw new Error(explain(e, text(want.video ? "camera" : "microphone"))); }
  }
  try { return await media.getUserMedia(want); } catch (e) {
    if (e.name === "NotAllowedError") throw new Error(explain(e));
  }
  const faults = [];
  for (const [what, only] of [["microphone", { audio: want.audio }], ["camera", { video: want.video }]]) {
    try {
      const s = await media.getUserMedia(only);
      remark(text("goingOn", { faults: faults.join(" "), what: text(what) }));
      return s;
    } catch (e) { faults.push(explain(e, text(what))); }
  }
  throw new Error(faults.join(" "));
}

// openFile plays a file in a video element, and returns what it shows as a stream. It stays silent here.
export async function openFile(video, url, name, loop) {
  const capture = video.captureStream ?? video.mozCaptureStream;
  if (!capture) throw new Error(text("noCapture"));
  video.srcObject = null;
  video.src = url;
  video.loop = loop;
  try {
    await video.play();
  } catch (e) {
    if (e.name === "AbortError") throw e; // something else is opened meanwhile
    throw new Error(text("badFile", { name }));
  }
  const stream = capture.call(video);
  for (const end = performance.now() + 3000; !stream.getTracks().length && performance.now() < end;) {
    await new Promise((go) => stream.addEventListener("addtrack", go, { once: true }) || setTimeout(go, 100));
  }
  if (!stream.getTracks().length) throw new Error(text("badFile", { name }));
  return stream;
}

// listDevices fills the choices; before the first permission browsers tell no names.
export async function listDevices() {
  const all = await navigator.mediaDevices.enumerateDevices();
  for (const [id, kind] of [["camera", "videoinput"], ["mic", "audioinput"]]) {
    const select = document.getElementById(id), chosen = select.value;
    const named = all.filter((d) => d.kind === kind && d.deviceId && d.label);
    select.replaceChildren(new Option(text("default"), ""), ...named.map((d) => new Option(d.label, d.deviceId)), new Option(text("none"), "none"));
    select.value = [...select.options].some((o) => o.value === chosen) ? chosen : "";
  }
}
