// A client of the corecast feed protocol, version 1: one file, no dependencies. It comes back when
// the connection is cut, goes on where it was, and knows of every message what became of it.
//
//   const feed = new Feed("wss://example.org/feed", { onEvent: (event) => console.log(event) });
//   feed.subscribe(["quote.*", "trade.BTCUSD"]);
//   feed.connect();
//
// `Streams` and `Commands` do no I/O; `Feed` owns the socket and the timers.

const BACKOFF_MS = { first: 500, most: 15000 };
// The server speaks at least every `heartbeat_ms`: after so many of them it is held for dead.
const HEARTBEATS_MISSED_MAX = 2.5;
// Closed for one of these reasons, the same would happen again.
const CLOSED_FOR_GOOD = new Set([1000, 1002, 1003, 1007, 1008, 1009, 1010, 4401, 4403]);
const NOT_CONNECTED = { type: "error", code: 503, message: "not connected", retry: true };

/** Whether to come back after a close with this code; 1006: there was no Close frame. */
export const mayReturn = (code) => !CLOSED_FOR_GOOD.has(code);

/** Milliseconds to wait before a try; jitter, so that not all clients of a server come at once. */
export function backoffMs(failures, random = Math.random) {
  const most = Math.min(BACKOFF_MS.most, BACKOFF_MS.first * 2 ** failures);
  return most / 2 + random() * most / 2;
}

/** Whether a name stands for many topics. */
export const isPattern = (name) => /(^|\.)[*>](\.|@|$)/.test(name);

/** Whether a policy leaves out old values by design: then a jump in `seq` is conflation. */
export const conflates = (policy) => /^(latest|drop_oldest)/.test(policy);

/** What has arrived of each stream, by the numbers that the server gives to its messages. */
export class Streams {
  #streams = new Map();

  get(topic) { return this.#streams.get(topic); }
  values() { return this.#streams.values(); }
  delete(topic) { return this.#streams.delete(topic); }

  /**
   * An entry of `subscribed.ok`. Returns a gap where the server could not go on from where this
   * client was, and the stream is one of which nothing may be missing.
   */
  granted(entry, pattern = null) {
    if (entry.pattern) return null;            // a pattern has no numbers, its topics have
    const before = this.#streams.get(entry.topic);
    if (before?.live) return null;             // a pattern met what is subscribed by name
    const stream = {
      received: 0, conflated: 0, told: 0, holes: 0, repeated: 0, ...before,
      topic: entry.topic, policy: entry.policy, epoch: entry.epoch, body: entry.body,
      sid: entry.sid, seq: entry.seq, live: true, state: entry.state ?? "live",
      resumed: entry.resumed, requested: entry.requested,
      pattern: pattern ?? before?.pattern, named: !pattern,
    };
    this.#streams.set(entry.topic, stream);
    if (!before) return null;
    if (entry.resumed) {
      stream.seq = before.seq;                 // what was missed comes next
      return null;
    }
    const known = before.epoch === entry.epoch;
    const missed = known ? entry.seq - before.seq : 0;
    if (conflates(stream.policy)) {            // the snapshot stands for all that was missed
      stream.conflated += Math.max(0, missed - 1);
      return null;
    }
    if (known && missed <= 0) return null;
    stream.told += missed;
    const range = known ? { from: before.seq + 1, to: entry.seq } : {};
    return { type: "gap", topic: entry.topic, ...range, reason: "not resumed" };
  }

  /**
   * Any event with a topic. Returns what it means for the stream:
   * "next", "reset", "gap", "conflated", or what the protocol rules out: "repeated", "hole".
   */
  take(event) {
    const stream = this.#streams.get(event.topic);
    if (!stream) return "next";
    switch (event.type) {
      case "snapshot":
        stream.seq = event.seq;
        return "reset";
      case "gap":
        stream.told += Math.max(0, event.to - event.from + 1);
        stream.seq = Math.max(stream.seq, event.to);
        return "gap";
      case "stream_state":
        stream.state = event.state;
        return "next";
      case "published":                        // stands where the message would, without echo
        if (event.seq === stream.seq + 1) stream.seq = event.seq;
        return "next";
      case "message":
        return this.#count(stream, event.seq);
      default:                                 // an answer that names the topic
        return "next";
    }
  }

  #count(stream, seq) {
    stream.received += 1;
    stream.state = "live";
    const jump = seq - stream.seq - 1;
    if (jump < 0) {
      // Here order holds per key alone: what came late had been counted as conflated.
      if (stream.policy === "latest_by_key") stream.conflated -= 1;
      else stream.repeated += 1;
      return stream.policy === "latest_by_key" ? "next" : "repeated";
    }
    stream.seq = seq;
    if (jump === 0) return "next";
    if (conflates(stream.policy)) {
      stream.conflated += jump;
      return "conflated";
    }
    stream.holes += jump;
    return "hole";
  }

  /** The connection is gone; where each stream was is kept. */
  cut() {
    for (const stream of this.#streams.values()) stream.live = false;
  }

  /** What is held for a name as it was asked for: one stream, or all that a pattern matched. */
  of(name) {
    const held = (stream) => stream.pattern ?? stream.requested ?? stream.topic;
    return [...this.#streams.values()].filter((stream) => held(stream) === name);
  }
}

/**
 * What to ask for on a new connection of this epoch: `first` the streams whose place is known, with
 * `resume`, then the patterns. `wishes` are names and policies.
 */
export function restoration(wishes, streams, epoch, topicsMax = 1000) {
  const first = new Map();                     // one command has one policy
  const ask = (name, policy, stream) => {
    const key = JSON.stringify(policy);
    let last = first.get(key)?.at(-1);
    if (!last || last.topics.length >= topicsMax) {
      last = { type: "subscribe", topics: [], policy, resume: { epoch, seq: {} } };
      first.set(key, [...first.get(key) ?? [], last]);
    }
    last.topics.push(name);
    if (stream?.epoch === epoch) last.resume.seq[name] = stream.seq;
  };
  const patterns = [];
  for (const [name, policy] of wishes) {
    const held = streams.of(name);
    if (!isPattern(name)) {
      ask(name, policy, held[0]);
      continue;
    }
    patterns.push({ type: "subscribe", topics: [name], policy });
    const delivery = policy?.delivery && { delivery: policy.delivery };
    for (const stream of held) {
      // Of another epoch it may exist no more; the pattern finds it if it does.
      if (stream.epoch === epoch) ask(stream.topic, delivery, stream);
      else streams.delete(stream.topic);
    }
  }
  return { first: [...first.values()].flat(), patterns };
}

/** Commands on their way: each gets an id, and the answer with that id. */
export class Commands {
  #last = 0;
  #waiting = new Map();

  /** The text to send, and a promise of the answer; a refusal rejects it. */
  make(command) {
    const id = this.#last += 1;
    const answer = new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, ok: [], errors: [] });
    });
    return { id, text: JSON.stringify({ ...command, id }), answer };
  }

  /** Takes an event. The answer to `subscribe` may come in parts. */
  take(event) {
    const waiting = this.#waiting.get(event.id);
    if (!waiting || event.type === "delivered") return;
    if (event.type === "subscribed") {
      waiting.ok.push(...event.ok);
      waiting.errors.push(...event.errors);
      if (event.remaining) return;
      event = { ...event, ok: waiting.ok, errors: waiting.errors };
    }
    this.#waiting.delete(event.id);
    if (event.type === "error") waiting.reject(new FeedError(event));
    else waiting.resolve(event);
  }

  /** Nothing will be answered any more. */
  fail(why) {
    for (const { reject } of this.#waiting.values()) {
      reject(new FeedError({ code: 503, message: why, retry: true }));
    }
    this.#waiting.clear();
  }
}

/** Why a command was refused: `code` as in HTTP, `retry`: the same may succeed later. */
export class FeedError extends Error {
  constructor({ code, message, retry = false, topic }) {
    super(message);
    Object.assign(this, { code, retry, topic });
  }
}

/**
 * A connection that comes back. `onEvent(event, bytes, meaning)` gets every event of the server;
 * `onState({ name, … })` is told "connecting", "live", "restored" (all subscriptions are answered),
 * "waiting" and "closed".
 */
export class Feed {
  #url; #onEvent; #onState; #open;
  #socket = null; #timer = null; #watch = null;
  #failures = 0; #spread = null; #heard = 0; #welcome = null;
  #wishes = new Map();                         // name as asked for -> policy or undefined
  #commands = new Commands();
  streams = new Streams();

  constructor(url, { onEvent = () => {}, onState = () => {}, open } = {}) {
    this.#url = url;
    this.#onEvent = onEvent;
    this.#onState = onState;
    this.#open = open ?? ((address) => new WebSocket(address, ["corecast.v1.json"]));
  }

  connect() {
    clearTimeout(this.#timer);
    this.#onState({ name: "connecting" });
    const socket = this.#socket = this.#open(this.#url);
    const current = (then) => (event) => { if (socket === this.#socket) then(event); };
    socket.onmessage = current(({ data }) => this.#take(JSON.parse(data), data.length));
    socket.onclose = current(({ code, reason }) => this.#closed(code, reason));
  }

  /** Ends the connection for good. */
  close() {
    this.#drop(1000);
    clearTimeout(this.#timer);
    this.#onState({ name: "closed", code: 1000, reason: "" });
  }

  /** Drops the connection as a tunnel does: without a word, and to come back. */
  cut(reason = "cut") {
    if (!this.#socket) return;
    this.#drop(4000);
    this.#retry(1006, reason);
  }

  /** Subscribes, now and after each reconnect. Refused topics stand in `errors` of the answer. */
  async subscribe(topics, policy) {
    for (const topic of topics) this.#wishes.set(topic, policy);
    return this.#welcome ? this.#command({ type: "subscribe", topics, policy }) : null;
  }

  async unsubscribe(names) {
    const topics = names.filter(isPattern);
    for (const name of names) {
      this.#wishes.delete(name);
      for (const { topic, named } of this.streams.of(name)) {
        this.streams.delete(topic);
        if (named) topics.push(topic);
      }
    }
    if (!this.#welcome || !topics.length) return null;
    return this.#command({ type: "unsubscribe", topics });
  }

  /** `options`: echo, ack, report, key. The answer carries `seq`. */
  publish(topic, data, options) {
    return this.#command({ type: "publish", topic, data, ...options });
  }

  /** To everybody at `{ user }`, or to one `{ client }`. */
  send(to, data) { return this.#command({ type: "send", to, data }); }
  presence(topic) { return this.#command({ type: "presence", topic }); }
  history(topic, range) { return this.#command({ type: "history", topic, ...range }); }
  ping() { return this.#command({ type: "ping" }); }

  #command(command) {
    const { id, text, answer } = this.#commands.make(command);
    if (this.#welcome) this.#socket.send(text);
    else this.#commands.take({ ...NOT_CONNECTED, id });
    return answer;
  }

  #take(event, bytes) {
    this.#heard = performance.now();
    let meaning = "next";
    switch (event.type) {
      case "welcome":
        this.#welcomed(event);
        break;
      case "subscribed":
        for (const entry of event.ok) {
          const gap = this.streams.granted(entry, event.pattern);
          if (gap) this.#onEvent(gap, 0, "gap");
        }
        break;
      case "going_away":
        this.#spread = event.reconnect_ms;
        break;
      default:
        if (event.topic) meaning = this.streams.take(event);
    }
    if (event.id !== undefined) this.#commands.take(event);
    this.#onEvent(event, bytes, meaning);
  }

  #welcomed(welcome) {
    this.#failures = 0;
    this.#spread = null;
    this.#welcome = welcome;
    this.#onState({ name: "live", welcome });
    this.#watchOver(welcome.heartbeat_ms * HEARTBEATS_MISSED_MAX);
    this.#restore(welcome);
  }

  // Patterns come last: what they match and is live already comes no second time.
  // What is refused, `onEvent` has seen; after a cut the next `welcome` tries again.
  async #restore(welcome) {
    const { epoch, limits } = welcome;
    const { first, patterns } = restoration(this.#wishes, this.streams, epoch, limits.topics);
    for (const commands of [first, patterns]) {
      await Promise.allSettled(commands.map((command) => this.#command(command)));
      if (this.#welcome !== welcome) return;
    }
    this.#onState({ name: "restored" });
  }

  // Browsers hide ping frames: what shows that the server is there is that it speaks.
  #watchOver(silenceMaxMs) {
    clearInterval(this.#watch);
    if (!silenceMaxMs) return;
    let ranAt = performance.now();
    this.#watch = setInterval(() => {
      const now = performance.now();
      // Where this page itself was asleep, what was sent meanwhile is still to be read.
      if (now - ranAt > silenceMaxMs) this.#heard = now;
      ranAt = now;
      if (now - this.#heard > silenceMaxMs) this.cut("the server is silent");
    }, silenceMaxMs / 3);
  }

  #closed(code, reason) {
    this.#drop();
    if (mayReturn(code)) this.#retry(code, reason);
    else this.#onState({ name: "closed", code, reason });
  }

  #drop(code) {
    const socket = this.#socket;
    this.#socket = this.#welcome = null;
    clearInterval(this.#watch);
    this.streams.cut();
    this.#commands.fail("the connection was cut");
    if (socket && code) socket.close(code);
  }

  #retry(code, reason) {
    const [least, most] = this.#spread ?? [];
    const spread = most === undefined ? null : least + Math.random() * (most - least);
    const inMs = spread ?? backoffMs(this.#failures);
    this.#failures += 1;
    this.#onState({ name: "waiting", code, reason, inMs });
    this.#timer = setTimeout(() => this.connect(), inMs);
  }
}
