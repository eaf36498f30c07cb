// A WHIP session (RFC 9725): one connection to the server, kept alive through network changes by ICE restarts.
// It dispatches: "state" (connecting, running, reconnecting, ended), "event" (detail: a tandem.v1 event).

const restartAfter = 3000; // ms of "disconnected" before an ICE restart
const reopenAfter = 4; // failed restarts
const answerWithin = 10000; // ms that the server has for any answer
const statusWithin = 1500; // and for that to a look at the status, by which it is noticed that it is gone

// Failure is why there is no session. code: "codec", the browser can't send the one that was chosen; "unanswered", no
// answer came; "refused", the server's answer is no success, whose status and detail it has.
export class Failure extends Error {
  constructor(code, status, detail, retryAfter = 0) {
    super(detail);
    this.code = code;
    this.status = status; // 0 without an answer
    this.retryAfter = retryAfter; // seconds
  }
}

export class Session extends EventTarget {
  #pc; #url; #etag = ""; #o; #candidates = []; #sending = false; #timer = 0; #tries = 0; #over = false; #restarting = false;
  #erased = false;
  #opening; // a promise

  // o: {stream, codec, gender, token}
  constructor(o) {
    super();
    this.#o = o;
  }

  get url() { return this.#url; }
  get connected() { return this.#pc?.connectionState === "connected"; }

  open() { return this.#opening = this.#open(); }

  async #open() {
    // The server tells its ICE servers only to those who have the token.
    const { ice_servers: iceServers } = await (await this.#fetch("/config")).json();
    if (this.#over) return;
    const pc = this.#pc = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    // Windows may be lost, so that a bad network delays none; the server opens a second channel for start and end.
    this.#listen(pc.createDataChannel("events", { protocol: "tandem.v1", ordered: false, maxRetransmits: 0 }));
    pc.ondatachannel = (e) => this.#listen(e.channel);
    for (const track of this.#o.stream.getTracks()) {
      const t = pc.addTransceiver(track, { direction: "sendonly", streams: [this.#o.stream] });
      if (track.kind === "video" && this.#o.codec && t.setCodecPreferences) {
        const all = RTCRtpSender.getCapabilities("video").codecs;
        const chosen = all.filter((c) => c.mimeType === this.#o.codec);
        if (!chosen.length) throw new Failure("codec", 0, this.#o.codec);
        t.setCodecPreferences([...chosen, ...all.filter((c) => c.mimeType === "video/rtx")]);
      }
    }
    pc.onicecandidate = (e) => {
      this.#candidates.push(e.candidate ? e.candidate : null);
      this.#trickle();
    };
    pc.onconnectionstatechange = () => this.#changed();
    addEventListener("online", this.#online);
    await pc.setLocalDescription();
    // Nothing stays of it if the connection ends by itself: a browser may lose what leave sends.
    const r = await this.#fetch(`/whip?erase=1${this.#o.gender ? "" : "&gender=0"}`, {
      method: "POST", headers: { "Content-Type": "application/sdp" }, body: pc.localDescription.sdp,
    });
    this.#url = r.headers.get("Location");
    this.#etag = r.headers.get("ETag");
    if (this.#over) return; // closed meanwhile; close deletes it
    await pc.setRemoteDescription({ type: "answer", sdp: await r.text() });
    this.#trickle();
  }

  // close ends the session at the server, even one that is still being opened; erase lets it forget the results too.
  async close(erase) {
    if (this.#over && !erase) return;
    if (this.ended && !erase) return this.#finish(); // a DELETE would erase
    this.#over = true;
    try {
      await this.#opening?.catch(() => {});
      if (this.#erased) return;
      await this.#delete(erase); // the server sends the end before it answers
      this.#erased = erase;
    } finally {
      this.#finish();
    }
  }

  // leave ends the session and lets the server forget its results while the page goes away: by one request, that does
  // both whether it comes before the connection's own end or after. A beacon, which has no headers, since Firefox loses
  // more of the fetches with keepalive that a page begins as it is closed.
  leave() {
    if (!this.#erased && this.#url) navigator.sendBeacon(`${this.#url}/leave`, this.#o.token);
    this.#finish();
  }

  async status() {
    return (await this.#fetch(`${this.#url}/status`, { signal: AbortSignal.timeout(statusWithin) })).json();
  }

  // received says how many bytes have come by the connection, ICE's own left out.
  async received() {
    let bytes = 0;
    const stats = await this.#pc.getStats().catch(() => new Map()); // closed
    for (const r of stats.values()) if (r.type === "candidate-pair") bytes += r.bytesReceived ?? 0;
    return bytes;
  }

  async #delete(erase) {
    if (!this.#url) return;
    try {
      await this.#fetch(`${this.#url}${erase ? "?erase=1" : ""}`, { method: "DELETE" });
    } catch (e) {
      if (e.status !== 404) throw e;
    }
  }

  async #fetch(url, init = {}) {
    init.headers = { ...init.headers };
    init.signal ??= AbortSignal.timeout(answerWithin);
    if (this.#o.token) init.headers.Authorization = `Bearer ${this.#o.token}`;
    let r;
    try {
      r = await fetch(url, init);
    } catch {
      throw new Failure("unanswered", 0, "no answer");
    }
    if (r.ok) return r;
    let detail = r.statusText || `status ${r.status}`;
    try { detail = (await r.json()).detail || detail; } catch { /* not a problem+json */ }
    throw new Failure("refused", r.status, detail, Number(r.headers.get("Retry-After")) || 0);
  }

  #listen(channel) {
    channel.onmessage = (m) => {
      const e = JSON.parse(m.data);
      if (e.type === "end") this.ended = true;
      this.dispatchEvent(new CustomEvent("event", { detail: e }));
    };
  }

  #state(state) { this.dispatchEvent(new CustomEvent("state", { detail: state })); }

  #finish() {
    this.#over = true;
    clearTimeout(this.#timer);
    removeEventListener("online", this.#online);
    this.#pc?.close();
  }

  #online = () => { if (this.#pc.connectionState !== "connected") this.#restart(); };

  #changed() {
    if (this.#over) return;
    const s = this.#pc.connectionState;
    if (s === "connected") {
      clearTimeout(this.#timer);
      this.#tries = 0;
      this.#state("running");
    } else if (this.ended || s === "closed") {
      this.#finish();
      this.#state("ended");
    } else if (s === "disconnected" || s === "failed") {
      this.#state("reconnecting");
      this.#later(s === "failed" ? 0 : restartAfter);
    }
  }

  #later(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#restart(), ms);
  }

  // restart finds a new path for the same session (RFC 9725 section 4.3.3).
  async #restart() {
    if (this.#over || this.#restarting || this.#pc.connectionState === "connected") return;
    this.#restarting = true;
    try {
      const pc = this.#pc;
      this.#candidates = [];
      await pc.setLocalDescription(await pc.createOffer({ iceRestart: true }));
      const r = await this.#patch("*", this.#fragment([]));
      this.#etag = r.headers.get("ETag");
      const f = await r.text();
      const line = (name) => f.split(/\r?\n/).find((l) => l.startsWith(name));
      let placed = false;
      const kept = pc.remoteDescription.sdp.split(/\r?\n/).filter((l) => !/^a=(candidate|end-of-candidates)/.test(l)).flatMap((l) => {
        if (l.startsWith("a=ice-ufrag:")) return [line("a=ice-ufrag:")];
        if (l.startsWith("a=ice-pwd:")) return [line("a=ice-pwd:")];
        if (l.startsWith("a=mid:") && !placed) {
          placed = true;
          return [l, ...f.split(/\r?\n/).filter((c) => c.startsWith("a=candidate:"))];
        }
        return [l];
      });
      await pc.setRemoteDescription({ type: "answer", sdp: kept.join("\r\n") });
    } catch (e) {
      this.#tries++;
      if (e.status === 404 || this.#tries >= reopenAfter) {
        this.#finish();
        this.dispatchEvent(new CustomEvent("state", { detail: "lost" }));
        return;
      }
    } finally {
      this.#restarting = false;
    }
    this.#trickle();
    this.#later(Math.min(5000 * 2 ** this.#tries, 20000)); // unless it is connected by then
  }

  #patch(etag, body) {
    return this.#fetch(this.#url, {
      method: "PATCH", headers: { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": etag }, body,
    });
  }

  // fragment is an SDP fragment (RFC 8840) with candidates; null among them: there are no more.
  #fragment(candidates) {
    const sdp = this.#pc.localDescription.sdp;
    const lines = [/^a=ice-ufrag:.*$/m.exec(sdp)[0], /^a=ice-pwd:.*$/m.exec(sdp)[0]];
    const kind = /^m=(\w+)/m.exec(sdp)[1];
    lines.push(`m=${kind} 9 UDP/TLS/RTP/SAVPF 0`, /^a=mid:.*$/m.exec(sdp)[0]);
    for (const c of candidates) {
      if (c && c.candidate) lines.push(`a=${c.candidate}`);
      else if (!c) lines.push("a=end-of-candidates");
    }
    return lines.map((l) => l.trim() + "\r\n").join("");
  }

  // trickle sends what candidates there are, all that came while the last were on their way in one.
  async #trickle() {
    if (this.#sending || this.#restarting || !this.#url || this.#over) return;
    this.#sending = true;
    try {
      while (this.#candidates.length && !this.#over && !this.#restarting) {
        await this.#patch(this.#etag, this.#fragment(this.#candidates.splice(0)));
      }
    } catch { /* the connection's state tells whether they were needed */ } finally {
      this.#sending = false;
    }
  }
}
