// Owns the market's connection, away from the page: so it can stop reading without freezing what
// you see. It counts what arrives, and tells the page ten times a second.
import { Feed } from "./feed.js";

const TICK_MS = 100;
const LATENCY_SAMPLES_MAX = 20000;  // between two summaries
const TRADES_MAX = 60;              // of one tick
const LOG_MAX = 30;
const CAUGHT_UP_MS = 250;           // behind the usual latency
const CATCH_UP_MS_MAX = 20000;

let feed;
const changed = new Map();          // symbol -> newest quote since the last tick
let trades = [];
let log = [];
let second = {
  messages: 0, bytes: 0, latencies: [], at: performance.now(), received: 0, conflated: 0,
};
let usualLatency = 0;

const tell = (what, more) => postMessage({ what, ...more });

// ---------------------------------------------------------------- what the page asks for

const orders = {
  start({ url }) {
    feed = new Feed(url, { onEvent: take, onState: changeState });
    feed.subscribe(["quote.*", "trade.*"]);
    feed.connect();
    setInterval(tick, TICK_MS);
    setInterval(summarise, 1000);
  },
  cut: () => feed.cut(),
  sleep: ({ until }) => sleep(until),
  compare: (wanted) => compare(wanted),
};
onmessage = ({ data }) => orders[data.order](data);

// ---------------------------------------------------------------- the connection

const away = { since: null, resumed: 0, reset: 0, missed: 0, code: 0 };

function changeState(state) {
  if (state.name === "restored") return comeBack();
  if (state.name === "waiting" && away.since === null) {
    Object.assign(away, { since: performance.now(), resumed: 0, reset: 0, missed: 0 });
    away.code = state.code;
    if (nap) nap.closed = state.code;
  }
  tell("state", { state });
}

// What the answers to the new subscriptions say of the old ones.
function takeAnswer({ ok }) {
  if (away.since === null) return;
  for (const { topic, resumed, seq } of ok) {
    if (resumed === false) away.reset += 1;
    if (!resumed) continue;
    away.resumed += 1;
    away.missed += seq - feed.streams.get(topic).seq;
  }
}

function comeBack() {
  if (away.since === null) return;
  tell("back", { ...away, awayMs: performance.now() - away.since });
  away.since = null;
}

// ---------------------------------------------------------------- what arrives

function take(event, bytes, meaning) {
  second.bytes += bytes;
  const { type, topic } = event;
  if (type === "message") takeMessage(event, meaning);
  else if (type === "snapshot") takeValue(event);
  else note(event);
  if (type === "subscribed") takeAnswer(event);
  if (type === "gap" && nap) nap.gaps.push({ topic, from: event.from, to: event.to });
}

function takeMessage(event, meaning) {
  second.messages += 1;
  if (meaning === "repeated") return;
  const { topic, ts } = event;
  if (!topic.includes("@")) {
    // `ts` is in nanoseconds; a double holds it to a quarter of a microsecond.
    const latency = wallClock() - Number(ts) / 1e6;
    if (second.latencies.length < LATENCY_SAMPLES_MAX) second.latencies.push(latency);
    if (nap && topic.startsWith("trade.")) napEnds(latency);
  }
  takeValue(event);
}

function takeValue({ topic, seq, data, type }) {
  const [kind, symbol] = topic.split(".");
  if (topic.includes("@")) {
    if (topic.startsWith(`${pair.asked}@`)) pair.variant.take(topic, seq, data);
  } else if (kind === "quote") {
    changed.set(symbol, data);
    if (symbol === pair.symbol) pair.raw.take(topic, seq, data);
  } else if (type === "message") {
    trades.push({ symbol, ...data });
    if (trades.length > TRADES_MAX) trades.shift();
  }
}

// The conversation beside the data, for who wants to see how it looks.
function note(event) {
  const text = JSON.stringify(event);
  log.push(text.length > 400 ? `${text.slice(0, 400)} …` : text);
  if (log.length > LOG_MAX) log.shift();
}

// ---------------------------------------------------------------- one topic at two rates

class Side {
  constructor() { this.count = 0; this.points = []; }
  take(topic, seq, { bid, ask }) {
    Object.assign(this, { topic, seq, bid, ask });
    this.count += 1;
    this.points.push([performance.now(), (bid + ask) / 2]);
  }
  told() {
    const { topic, seq, bid, ask, points } = this;
    this.points = [];
    return { topic, seq, bid, ask, points };
  }
}

const pair = { symbol: null, raw: new Side(), variant: new Side() };

async function compare({ symbol, hz }) {
  if (pair.asked) await feed.unsubscribe([pair.asked]).catch(() => {});
  const asked = `quote.${symbol}`;
  Object.assign(pair, { symbol, asked, raw: new Side(), variant: new Side() });
  try {
    const answer = await feed.subscribe([asked], { max_hz: hz });
    if (answer) tell("granted", { asked, hz, ok: answer.ok[0], error: answer.errors[0] });
  } catch ({ message }) {
    tell("granted", { asked, hz, error: { message } });
  }
}

// ---------------------------------------------------------------- being slow

let nap = null;

// Blocks this thread, and with it the reading from the socket, for as long as the page keeps the
// URL alive: a sleeper hears no messages, but he can look whether something is still there.
function sleep(until) {
  nap = { before: sums(), since: performance.now(), usualLatency, gaps: [], closed: null };
  while (isThere(until)) block(TICK_MS);
  nap.wokeAt = performance.now();
  tell("awake", { sleptMs: nap.wokeAt - nap.since });
}

// The one shared memory that a page may have without being isolated; not in every browser.
let cell = null;
try {
  const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  cell = new Int32Array(buffer);
} catch { /* then the time is passed awake */ }

function block(ms) {
  if (cell) Atomics.wait(cell, 0, 0, ms);
  else for (const end = performance.now() + ms; performance.now() < end;);
}

function isThere(url) {
  try {
    const request = new XMLHttpRequest();
    request.open("GET", url, false);
    request.send();
    return request.status === 200;
  } catch {
    return false;
  }
}

// Trades are lossless, so they come in order behind what lay in buffers: when one is as young as
// usual, everything from the time of the nap is told.
function napEnds(latency) {
  const sinceMs = performance.now() - nap.wokeAt;
  const caughtUp = away.since === null && latency < nap.usualLatency + CAUGHT_UP_MS;
  if (!(sinceMs > CAUGHT_UP_MS && caughtUp) && sinceMs < CATCH_UP_MS_MAX) return;
  const { before, gaps, closed, since, wokeAt } = nap;
  const after = sums();
  const difference = (kind) => Object.fromEntries(
    Object.entries(after[kind]).map(([key, value]) => [key, value - before[kind][key]]));
  nap = null;
  tell("slept", {
    quotes: difference("quote"), trades: difference("trade"), gaps, closed,
    sleptMs: wokeAt - since, caughtUpMs: sinceMs,
  });
}

// ---------------------------------------------------------------- counting

function sums() {
  const zero = () => ({ received: 0, conflated: 0, told: 0, holes: 0, repeated: 0, streams: 0 });
  const sum = { quote: zero(), trade: zero() };
  for (const stream of feed.streams.values()) {
    if (stream.topic.includes("@")) continue;
    const kind = sum[stream.topic.split(".")[0]];
    for (const key of ["received", "conflated", "told", "holes", "repeated"]) {
      kind[key] += stream[key];
    }
    kind.streams += 1;
  }
  return sum;
}

function tick() {
  const states = [];
  for (const { topic, state, live } of feed.streams.values()) {
    if (topic.startsWith("quote.") && !topic.includes("@") && (state === "stale" || !live)) {
      states.push(topic.slice("quote.".length));
    }
  }
  tell("tick", {
    quotes: [...changed], trades, log, stale: states, sums: sums(),
    raw: pair.raw.told(), variant: pair.variant.told(), now: performance.now(),
  });
  changed.clear();
  trades = [];
  log = [];
}

function summarise() {
  const now = performance.now();
  const seconds = (now - second.at) / 1000;
  const sorted = Float64Array.from(second.latencies).sort();
  const at = (share) => sorted.length
    ? Math.max(0, sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]) : NaN;
  const { quote } = sums();
  const conflated = Math.max(0, quote.conflated - second.conflated);
  const received = Math.max(0, quote.received - second.received);
  tell("second", {
    rate: second.messages / seconds, bytes: second.bytes / seconds, p50: at(0.5), p99: at(0.99),
    conflated: conflated / seconds, ratio: conflated / (conflated + received || 1),
    rawRate: pair.raw.count / seconds, variantRate: pair.variant.count / seconds,
  });
  if (!nap && sorted.length) usualLatency = at(0.5);
  pair.raw.count = pair.variant.count = 0;
  second = { messages: 0, bytes: 0, latencies: [], at: now, ...quote };
  checkClock();
}

// The wall clock with sub-millisecond steps. `timeOrigin` does not follow a clock that is set
// later; `Date.now()` does, but has whole milliseconds: their difference corrects the first.
let clockOffset = 0;
function wallClock() { return performance.timeOrigin + performance.now() + clockOffset; }
function checkClock() {
  const off = Date.now() - wallClock();
  if (Math.abs(off) > 5) clockOffset += off;
}
