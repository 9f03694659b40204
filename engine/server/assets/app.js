// The demo's page: one WebSocket, a table, two charts. No framework, nothing from elsewhere.
"use strict";

const TOPIC = "market.all";
const WINDOW_SECONDS = 60;          // what the charts show
const TREND_POINTS = 60;            // of each symbol, one every TREND_STEP_MS
const TREND_STEP_MS = 1000;
const LATENCY_SAMPLES_MAX = 20000;  // between two summaries
const BACKOFF_MS = { first: 400, most: 15000 };

const byId = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

// ---------------------------------------------------------------- the market as this page knows it

const symbols = new Map();          // symbol -> Instrument
const dirty = new Set();            // symbols whose row is out of date

class Instrument {
  constructor(name) {
    this.name = name;
    this.decimals = 0;
    this.bid = this.ask = this.last = this.first = NaN;
    this.updates = 0;
    this.trend = [];
    this.row = makeRow(name);
    this.shown = {};
  }

  get middle() { return (this.bid + this.ask) / 2; }
  get change() { return this.middle / this.first - 1; }
  get spread() { return (this.ask - this.bid) / this.middle * 1e4; }

  take(message) {
    this.updates += 1;
    if (message.price === undefined) {
      this.bid = message.bid;
      this.ask = message.ask;
      this.learnDecimals(message.bid);
      this.learnDecimals(message.ask);
      if (Number.isNaN(this.first)) this.first = this.middle;
    } else {
      this.last = message.price;
      this.side = message.side;
      this.learnDecimals(message.price);
    }
  }

  // JSON numbers lose their trailing zeros: the most digits seen are the instrument's.
  learnDecimals(price) {
    const text = String(price);
    const point = text.indexOf(".");
    if (point >= 0) this.decimals = Math.max(this.decimals, text.length - point - 1);
  }
}

function take(text) {
  const message = JSON.parse(text);
  let symbol = symbols.get(message.symbol);
  if (!symbol) {
    symbol = new Instrument(message.symbol);
    symbols.set(message.symbol, symbol);
    place(symbol);
    byId("symbols").textContent = symbols.size;
    byId("empty").hidden = true;
  }
  symbol.take(message);
  dirty.add(symbol);
  measure.took(text.length, message.ts);
}

// ---------------------------------------------------------------- measuring

const measure = {
  messages: 0, bytes: 0, peak: 0, inSecond: 0, latencies: [],
  rates: [], p50s: [], p99s: [], secondAt: performance.now(),

  took(bytes, ts) {
    this.messages += 1;
    this.bytes += bytes;
    this.inSecond += 1;
    // `ts` is in nanoseconds; a double holds it to a quarter of a microsecond.
    if (this.latencies.length < LATENCY_SAMPLES_MAX) this.latencies.push(wallClock() - ts / 1e6);
  },

  summarise() {
    const now = performance.now();
    const rate = this.inSecond * 1000 / (now - this.secondAt);
    const sorted = Float64Array.from(this.latencies).sort();
    const at = (share) => sorted.length
      ? Math.max(0, sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]) : NaN;
    const [p50, p99] = [at(0.5), at(0.99)];
    this.peak = Math.max(this.peak, rate);
    for (const [series, value] of [[this.rates, rate], [this.p50s, p50], [this.p99s, p99]]) {
      series.push(value);
      if (series.length > WINDOW_SECONDS) series.shift();
    }
    this.inSecond = 0;
    this.latencies = [];
    this.secondAt = now;
    byId("rate").textContent = whole(rate);
    byId("rate-peak").textContent = whole(this.peak);
    byId("latency-p50").textContent = milliseconds(p50);
    byId("latency-p99").textContent = milliseconds(p99);
    byId("messages").textContent = whole(this.messages);
    byId("bytes").textContent = byteCount(this.bytes);
  },
};

// The wall clock with sub-millisecond steps. `timeOrigin` does not follow a clock that is set
// later; `Date.now()` does, but has whole milliseconds: their difference corrects the first.
let clockOffset = 0;
function wallClock() { return performance.timeOrigin + performance.now() + clockOffset; }
function checkClock() {
  const off = Date.now() - (performance.timeOrigin + performance.now() + clockOffset);
  if (Math.abs(off) > 5) clockOffset += off;
}

const whole = (n) => Math.round(n).toLocaleString("en-US");
function milliseconds(ms) {
  if (Number.isNaN(ms)) return "–";
  return ms < 100 ? ms.toFixed(ms < 10 ? 2 : 1) : whole(ms);
}
function byteCount(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; bytes >= 1000 && unit < units.length - 1; unit += 1) bytes /= 1000;
  return `${unit ? bytes.toFixed(1) : bytes} ${units[unit]}`;
}

// ---------------------------------------------------------------- the table

const body = document.querySelector("#ticker tbody");
const COLUMNS = ["bid", "ask", "spread", "last", "change", "trend", "updates"];
const OPTIONAL = new Set(["spread", "trend", "updates"]);   // not on narrow screens
const FLASHING = new Set(["bid", "ask", "last"]);

function makeRow(name) {
  const row = document.createElement("tr");
  row.dataset.symbol = name;
  const head = document.createElement("th");
  head.scope = "row";
  const quote = document.createElement("span");
  quote.className = "quote";
  quote.textContent = name.slice(-3);
  head.append(name.slice(0, -3), quote);
  row.append(head);
  row.cellsBy = {};
  for (const column of COLUMNS) {
    const cell = document.createElement("td");
    cell.classList.add(column);
    cell.classList.toggle("number", column !== "trend");
    cell.classList.toggle("optional", OPTIONAL.has(column));
    if (column === "trend") {
      cell.append(document.createElement("canvas"));
      cell.setAttribute("aria-hidden", "true");
    }
    row.append(cell);
    row.cellsBy[column] = cell;
  }
  return row;
}

function show(symbol, column, text, value) {
  const before = symbol.shown[column];
  if (before && before.text === text) return;
  const cell = symbol.row.cellsBy[column];
  cell.textContent = text;
  symbol.shown[column] = { text, value };
  if (before && FLASHING.has(column)) flash(cell, value - before.value);
}

const flashColors = { up: "", down: "" };
function flash(cell, difference) {
  if (difference === 0 || calm.matches || !cell.animate) return;
  const color = difference > 0 ? flashColors.up : flashColors.down;
  const frames = [{ backgroundColor: color }, { backgroundColor: "transparent" }];
  cell.animate(frames, { duration: 450, easing: "ease-out" });
}

function draw(symbol) {
  const fixed = (value, digits) => Number.isNaN(value) ? "–" : value.toFixed(digits);
  const price = (value) => fixed(value, symbol.decimals);
  show(symbol, "bid", price(symbol.bid), symbol.bid);
  show(symbol, "ask", price(symbol.ask), symbol.ask);
  show(symbol, "last", price(symbol.last), symbol.last);
  symbol.row.cellsBy.last.classList.toggle("up", symbol.side === "buy");
  symbol.row.cellsBy.last.classList.toggle("down", symbol.side === "sell");
  show(symbol, "spread", fixed(symbol.spread, 1), symbol.spread);
  const { change } = symbol;
  const sign = change > 0 ? "+" : change < 0 ? "−" : "";
  show(symbol, "change", `${sign}${fixed(Math.abs(change * 100), 3)} %`, change);
  symbol.row.cellsBy.change.classList.toggle("up", change > 0);
  symbol.row.cellsBy.change.classList.toggle("down", change < 0);
  show(symbol, "updates", whole(symbol.updates), symbol.updates);
}

function drawDirty() {
  for (const symbol of dirty) draw(symbol);
  dirty.clear();
  requestAnimationFrame(drawDirty);
}

const sorting = { key: "symbol", descending: false };
function sortValue(symbol) {
  if (sorting.key === "symbol") return symbol.name;
  const value = symbol[sorting.key];
  return Number.isNaN(value) ? -Infinity : value;
}
function compare(a, b) {
  const [x, y] = [sortValue(a), sortValue(b)];
  const order = x < y ? -1 : x > y ? 1 : a.name < b.name ? -1 : 1;
  return sorting.descending ? -order : order;
}

function place(symbol) {
  const order = [...symbols.values()].sort(compare);
  const next = order[order.indexOf(symbol) + 1];
  body.insertBefore(symbol.row, next ? next.row : null);
}

document.querySelector("#ticker thead").addEventListener("click", (event) => {
  const key = event.target.dataset.key;
  if (!key) return;
  sorting.descending = sorting.key === key ? !sorting.descending : key !== "symbol";
  sorting.key = key;
  for (const head of event.currentTarget.querySelectorAll("th")) head.removeAttribute("aria-sort");
  const direction = sorting.descending ? "descending" : "ascending";
  event.target.parentElement.setAttribute("aria-sort", direction);
  body.append(...[...symbols.values()].sort(compare).map((symbol) => symbol.row));
});

// ---------------------------------------------------------------- charts

const ink = {};
function readColors() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(`--${name}`).trim();
  for (const name of ["up", "down", "accent", "warn"]) ink[name] = color(name);
  flashColors.up = color("up-flash");
  flashColors.down = color("down-flash");
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColors);

// A canvas as large as it is shown, in device pixels; null where it is not shown.
function surface(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return null;
  const scale = devicePixelRatio || 1;
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

// Lines over one scale; each series is { values, color, filled }.
function plot(canvas, points, series, fromZero) {
  const on = surface(canvas);
  if (!on) return;
  const all = series.flatMap((one) => one.values.filter((value) => !Number.isNaN(value)));
  if (all.length < 2) return;
  const low = fromZero ? 0 : Math.min(...all);
  const range = Math.max(...all) - low || 1;
  const x = (index, length) => on.width - 1 - (length - 1 - index) * (on.width - 2) / (points - 1);
  const y = (value) => on.height - 1.5 - (value - low) / range * (on.height - 3);
  for (const { values, color, filled } of series) {
    const line = new Path2D();
    values.forEach((value, index) => {
      if (!Number.isNaN(value)) line.lineTo(x(index, values.length), y(value));
    });
    on.context.lineWidth = 1.4;
    on.context.lineJoin = "round";
    on.context.strokeStyle = on.context.fillStyle = color;
    on.context.stroke(line);
    if (filled) {
      line.lineTo(x(values.length - 1, values.length), on.height);
      line.lineTo(x(0, values.length), on.height);
      on.context.globalAlpha = 0.16;
      on.context.fill(line);
      on.context.globalAlpha = 1;
    }
  }
}

function drawCharts() {
  const rates = { values: measure.rates, color: ink.accent, filled: true };
  plot(byId("rate-chart"), WINDOW_SECONDS, [rates], true);
  plot(byId("latency-chart"), WINDOW_SECONDS, [
    { values: measure.p99s, color: ink.warn },
    { values: measure.p50s, color: ink.up, filled: true },
  ], true);
}

function drawTrends() {
  for (const symbol of symbols.values()) {
    if (Number.isNaN(symbol.first)) continue;
    symbol.trend.push(symbol.middle);
    if (symbol.trend.length > TREND_POINTS) symbol.trend.shift();
    const color = symbol.middle >= symbol.trend[0] ? ink.up : ink.down;
    const trend = { values: symbol.trend, color, filled: true };
    plot(symbol.row.cellsBy.trend.firstChild, TREND_POINTS, [trend], false);
  }
}

// ---------------------------------------------------------------- the connection

const state = byId("state");
function setState(name, text) {
  state.dataset.state = name;
  if (state.textContent !== text) state.textContent = text;
}

let attempts = 0;
function connect() {
  setState("connecting", "connecting");
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}/ws/${TOPIC}`);
  socket.onopen = () => {
    attempts = 0;
    setState("live", "live");
  };
  socket.onmessage = (event) => take(event.data);
  socket.onclose = ({ code, reason }) => {
    retry(reason || (code === 1006 ? "no answer" : `closed, ${code}`));
  };
}

// Full jitter: many pages whose server restarts do not all come back in the same instant.
function retry(why) {
  const most = Math.min(BACKOFF_MS.most, BACKOFF_MS.first * 2 ** attempts);
  attempts += 1;
  const wait = BACKOFF_MS.first / 2 + Math.random() * most;
  setState("waiting", `${why} · next try in ${Math.ceil(wait / 1000)} s`);
  setTimeout(connect, wait);
}

readColors();
connect();
requestAnimationFrame(drawDirty);
setInterval(() => { checkClock(); measure.summarise(); drawCharts(); }, 1000);
setInterval(drawTrends, TREND_STEP_MS);
