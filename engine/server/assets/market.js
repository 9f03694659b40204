// The market's tab: the worker owns the connection, this draws what it tells.
import { ink, plot, plotSteps } from "./plot.js";

const WINDOW_SECONDS = 60;          // what the charts show
const TREND_POINTS = 60;            // of each symbol, one a second
const COMPARED_MS = 10000;          // what the chart of two rates shows
const TAPE_MAX = 40;
const LOG_MAX = 60;

const byId = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const put = (id, text) => {
  const node = byId(id);
  if (node.textContent !== text) node.textContent = text;
};
function make(name, { text, ...properties } = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  if (text) children.unshift(text);
  node.append(...children);
  return node;
}

const whole = (n) => Math.round(n).toLocaleString("en-US");
const percent = (share) => `${(share * 100).toFixed(share && share < 0.1 ? 1 : 0)} %`;
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
const rate = (n) => n < 10 ? n.toFixed(1) : whole(n);
function milliseconds(ms) {
  if (Number.isNaN(ms)) return "–";
  return ms < 100 ? ms.toFixed(ms < 10 ? 2 : 1) : whole(ms);
}
function byteCount(bytes) {
  const units = ["B", "kB", "MB", "GB"];
  let unit = 0;
  for (; bytes >= 1000 && unit < units.length - 1; unit += 1) bytes /= 1000;
  return `${unit ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
}

// ---------------------------------------------------------------- the worker

let worker;

export function startMarket(url) {
  worker = new Worker("/worker.js", { type: "module" });
  worker.onmessage = ({ data }) => hear[data.what](data);
  worker.postMessage({ order: "start", url });
  addEventListener("pagehide", () => worker.terminate());
  requestAnimationFrame(drawDirty);
  setInterval(drawSecond, 1000);
}

const hear = {
  state: ({ state }) => showState(state),
  back: showBack,
  tick,
  second(told) { latest = told; },
  granted: showGranted,
  awake({ sleptMs }) {
    showState({ name: "live" });
    say(`Awake after ${seconds(sleptMs)}: reading what lay in buffers …`);
  },
  slept: showSlept,
};

// ---------------------------------------------------------------- the connection

function showState({ name, code, reason, inMs, welcome }) {
  const why = reason || (code === 1006 ? "no answer" : `closed, ${code}`);
  const text = {
    connecting: "connecting", live: "live", asleep: "not reading",
    waiting: `${why} · next try in ${seconds(inMs)}`, closed: `${why}, not coming back`,
  }[name];
  byId("state").dataset.state = name;
  put("state", text);
  byId("cut").disabled = name !== "live";
  if (!welcome) return;
  put("session", `epoch ${welcome.epoch} · client ${welcome.client}`);
  if (!asleep) byId("slow").disabled = false;
}

function showBack({ resumed, reset, missed, awayMs }) {
  const session = byId("session").textContent.split(" · ").slice(0, 2).join(" · ");
  const sent = missed ? `, ${whole(missed)} missed messages sent again` : "";
  const snapshots = reset ? `; ${reset} set right by a snapshot` : "";
  const nothing = reset ? "resumed none" : "a new epoch, nothing to resume";
  const streams = resumed ? `resumed ${resumed} streams${sent}` : nothing;
  put("session", `${session} · back after ${seconds(awayMs)}: ${streams}${snapshots}`);
}

byId("cut").addEventListener("click", () => worker.postMessage({ order: "cut" }));

// ---------------------------------------------------------------- the table

const symbols = new Map();          // name -> Instrument
const dirty = new Set();            // instruments whose row is out of date
const body = document.querySelector("#ticker tbody");
const COLUMNS = ["bid", "ask", "spread", "last", "change", "trend"];
const OPTIONAL = new Set(["spread", "trend"]);   // not on narrow screens
const FLASHING = new Set(["bid", "ask", "last"]);

class Instrument {
  decimals = 0;
  bid = NaN; ask = NaN; last = NaN; first = NaN;
  trend = [];
  shown = {};

  constructor(name) {
    this.name = name;
    this.row = makeRow(name);
  }

  get middle() { return (this.bid + this.ask) / 2; }
  get change() { return this.middle / this.first - 1; }
  get spread() { return (this.ask - this.bid) / this.middle * 1e4; }

  quoted({ bid, ask }) {
    Object.assign(this, { bid, ask });
    this.learnDecimals(bid, ask);
    if (Number.isNaN(this.first)) this.first = this.middle;
  }

  traded({ price, side }) {
    Object.assign(this, { last: price, side });
    this.learnDecimals(price);
  }

  // JSON numbers lose their trailing zeros: the most digits seen are the instrument's.
  learnDecimals(...prices) {
    for (const price of prices) {
      const text = String(price);
      const point = text.indexOf(".");
      if (point >= 0) this.decimals = Math.max(this.decimals, text.length - point - 1);
    }
  }

  price(value) { return Number.isNaN(value) ? "–" : value.toFixed(this.decimals); }
}

function instrument(name) {
  let found = symbols.get(name);
  if (found) return found;
  found = new Instrument(name);
  symbols.set(name, found);
  place(found);
  byId("empty").hidden = true;
  offer(name);
  return found;
}

function tick({ quotes, trades, log, stale, sums, raw, variant, now }) {
  for (const [name, quote] of quotes) {
    const one = instrument(name);
    one.quoted(quote);
    dirty.add(one);
  }
  for (const trade of trades) {
    const one = instrument(trade.symbol);
    one.traded(trade);
    dirty.add(one);
  }
  showTape(trades);
  for (const [name, { row }] of symbols) row.classList.toggle("stale", stale.includes(name));
  const { quote, trade } = sums;
  put("conflated", whole(quote.conflated));
  put("told", whole(trade.told));
  put("unexplained", whole(trade.holes + trade.repeated + quote.repeated));
  put("trades-received", whole(trade.received));
  showPair(raw, variant, now);
  writeLog(log);
}

function makeRow(name) {
  const quote = make("span", { className: "quote", text: name.slice(-3) });
  const head = make("th", { scope: "row", text: name.slice(0, -3) }, quote);
  const row = make("tr", {}, head);
  row.dataset.symbol = name;
  row.cellsBy = {};
  for (const column of COLUMNS) {
    const cell = make("td", { className: column });
    cell.classList.toggle("number", column !== "trend");
    cell.classList.toggle("optional", OPTIONAL.has(column));
    if (column === "trend") {
      cell.append(make("canvas"));
      cell.setAttribute("aria-hidden", "true");
    }
    row.append(cell);
    row.cellsBy[column] = cell;
  }
  return row;
}

function show(one, column, text, value) {
  const before = one.shown[column];
  if (before && before.text === text) return;
  const cell = one.row.cellsBy[column];
  cell.textContent = text;
  one.shown[column] = { text, value };
  if (before && FLASHING.has(column)) flash(cell, value - before.value);
}

function flash(cell, difference) {
  if (!difference || calm.matches || !cell.animate) return;
  const color = ink[difference > 0 ? "up-flash" : "down-flash"];
  const frames = [{ backgroundColor: color }, { backgroundColor: "transparent" }];
  cell.animate(frames, { duration: 450, easing: "ease-out" });
}

function color(cell, isUp, isDown) {
  cell.classList.toggle("up", isUp);
  cell.classList.toggle("down", isDown);
}

function draw(one) {
  const { bid, ask, last, spread, change, side, row: { cellsBy } } = one;
  show(one, "bid", one.price(bid), bid);
  show(one, "ask", one.price(ask), ask);
  show(one, "last", one.price(last), last);
  color(cellsBy.last, side === "buy", side === "sell");
  if (Number.isNaN(change)) return;
  show(one, "spread", spread.toFixed(1), spread);
  const sign = change > 0 ? "+" : change < 0 ? "−" : "";
  show(one, "change", `${sign}${Math.abs(change * 100).toFixed(3)} %`, change);
  color(cellsBy.change, change > 0, change < 0);
}

function drawDirty() {
  for (const one of dirty) draw(one);
  dirty.clear();
  requestAnimationFrame(drawDirty);
}

const sorting = { key: "name", descending: false };
function compare(a, b) {
  const value = (one) => Number.isNaN(one[sorting.key]) ? -Infinity : one[sorting.key];
  const [x, y] = [value(a), value(b)];
  const order = x < y ? -1 : x > y ? 1 : a.name < b.name ? -1 : 1;
  return sorting.descending ? -order : order;
}

function place(one) {
  const order = [...symbols.values()].sort(compare);
  body.insertBefore(one.row, order[order.indexOf(one) + 1]?.row ?? null);
}

document.querySelector("#ticker thead").addEventListener("click", (event) => {
  const { key } = event.target.dataset;
  if (!key) return;
  sorting.descending = sorting.key === key ? !sorting.descending : key !== "name";
  sorting.key = key;
  for (const head of event.currentTarget.querySelectorAll("th")) head.removeAttribute("aria-sort");
  const direction = sorting.descending ? "descending" : "ascending";
  event.target.parentElement.setAttribute("aria-sort", direction);
  body.append(...[...symbols.values()].sort(compare).map(({ row }) => row));
});

// ---------------------------------------------------------------- trades, and the conversation

function prepend(list, items, most) {
  list.prepend(...items.reverse());
  while (list.childElementCount > most) list.lastChild.remove();
}

function showTape(trades) {
  prepend(byId("tape"), trades.slice(-TAPE_MAX).map(({ symbol, price, size, side }) => {
    const text = instrument(symbol).price(price);
    const number = make("span", { text, className: side === "buy" ? "up" : "down" });
    const much = make("span", { text: size < 1000 ? size.toPrecision(3) : whole(size) });
    return make("li", {}, make("b", { text: symbol.slice(0, -3) }), number, much);
  }), TAPE_MAX);
}

function writeLog(lines) {
  if (!lines.length) return;
  prepend(byId("log"), lines.map((text) => make("li", { text })), LOG_MAX);
}

// ---------------------------------------------------------------- one topic at two rates

const pair = { raw: [], variant: [], now: 0 };

function offer(name) {
  const select = byId("compare-symbol");
  const after = [...select.options].find((option) => option.value > name) ?? null;
  select.add(make("option", { text: name, value: name }), after);
  if (name === "BTCUSD" || select.options.length === 1) {
    select.value = name;
    askForPair();
  }
}

function askForPair() {
  const symbol = byId("compare-symbol").value;
  const hz = Number(byId("compare-hz").value);
  Object.assign(pair, { raw: [], variant: [] });
  worker.postMessage({ order: "compare", symbol, hz });
}
byId("compare-symbol").addEventListener("change", askForPair);
byId("compare-hz").addEventListener("change", askForPair);

function showGranted({ asked, hz, ok, error }) {
  put("granted", ok
    ? `Asked for ${asked} at ${hz} Hz: granted as ${ok.topic}, made once for all who ask.`
    : `Asked for ${asked} at ${hz} Hz: ${error.message}.`);
}

function showPair(raw, variant, now) {
  pair.now = now;
  for (const [name, side] of [["raw", raw], ["variant", variant]]) {
    const points = pair[name];
    points.push(...side.points);
    // The last one before the window still holds in it.
    while (points.length > 1 && points[1][0] < now - COMPARED_MS) points.shift();
    if (!side.topic) continue;
    const one = instrument(side.topic.split(/[.@]/)[1]);
    put(`${name}-topic`, side.topic);
    put(`${name}-quote`, `${one.price(side.bid)} / ${one.price(side.ask)} · seq ${side.seq}`);
  }
  plotSteps(byId("compare-chart"), now, COMPARED_MS, [
    { points: pair.variant, color: ink.accent, width: 2.4 },
    { points: pair.raw, color: ink.warn, width: 1 },
  ]);
}

// ---------------------------------------------------------------- being slow

let asleep = null;                  // the URL whose end wakes the worker
let fellAsleepAt = 0;

byId("slow").addEventListener("click", () => {
  if (asleep) {
    URL.revokeObjectURL(asleep);
    asleep = null;
  } else {
    asleep = URL.createObjectURL(new Blob(["asleep"]));
    fellAsleepAt = performance.now();
    worker.postMessage({ order: "sleep", until: asleep });
    showState({ name: "asleep" });
    say("Not reading.");
    byId("slept").setAttribute("aria-busy", true);    // not each second read aloud
  }
  byId("slow").setAttribute("aria-checked", Boolean(asleep));
  if (!asleep) byId("slow").disabled = true;
});

function say(...children) { byId("slept").replaceChildren(...children); }

function showSlept({ quotes, trades, gaps, sleptMs, caughtUpMs, closed }) {
  byId("slept").setAttribute("aria-busy", false);
  byId("slow").disabled = false;
  const item = (term, text) => make("div", {}, make("dt", { text: term }), make("dd", { text }));
  const published = quotes.received + quotes.conflated;
  const ranges = gaps.slice().sort((a, b) => (b.to - b.from) - (a.to - a.from)).slice(0, 3)
    .map(({ topic, from, to }) => `${topic} ${from}–${to}`);
  const more = gaps.length > 3 ? ` and ${gaps.length - 3} more` : "";
  const lost = trades.holes + trades.repeated + quotes.repeated;
  const list = make("dl", { className: "report" },
    item("Quotes", `of ${whole(published)}, ${whole(quotes.conflated)} conflated, `
      + `${whole(quotes.received)} came; each symbol is at its newest`),
    item("Trades", gaps.length
      ? `${whole(trades.received)} came, ${whole(trades.told)} told as missing: `
        + `${ranges.join(", ")}${more}`
      : `all ${whole(trades.received)} came: `
        + (closed ? "what was missed, by resuming" : "they fitted into the queue")),
    item("Unexplained", whole(lost)));
  if (closed) list.append(item("Closed", `with ${closed} meanwhile: it took no byte for too long`));
  const title = `Slept ${seconds(sleptMs)}, had caught up ${seconds(caughtUpMs)} later.`;
  say(make("p", { className: "said", text: title }), list);
}

// ---------------------------------------------------------------- once a second

const QUIET = { rate: 0, bytes: 0, p50: NaN, p99: NaN, conflated: 0, ratio: 0 };
const series = { rate: [], p50: [], p99: [], conflated: [] };
let latest = null;

function drawSecond() {
  if (asleep) {
    say(`Not reading for ${seconds(performance.now() - fellAsleepAt)}. What you see is old; `
      + "the server goes on.");
  }
  const now = latest ?? QUIET;
  latest = null;
  for (const [name, values] of Object.entries(series)) {
    values.push(now[name]);
    if (values.length > WINDOW_SECONDS) values.shift();
  }
  put("rate", whole(now.rate));
  put("bytes", byteCount(now.bytes));
  put("latency-p50", milliseconds(now.p50));
  put("latency-p99", milliseconds(now.p99));
  put("ratio", percent(now.ratio));
  put("raw-rate", rate(now.rawRate ?? 0));
  put("variant-rate", rate(now.variantRate ?? 0));
  const line = (name, color, filled) => ({ values: series[name], color: ink[color], filled });
  plot(byId("rate-chart"), WINDOW_SECONDS, [line("rate", "accent", true)], true);
  plot(byId("latency-chart"), WINDOW_SECONDS,
    [line("p99", "warn", false), line("p50", "up", true)], true);
  plot(byId("conflation-chart"), WINDOW_SECONDS, [line("conflated", "accent", true)], true);
  drawTrends();
}

function drawTrends() {
  for (const one of symbols.values()) {
    if (Number.isNaN(one.first)) continue;
    one.trend.push(one.middle);
    if (one.trend.length > TREND_POINTS) one.trend.shift();
    const color = one.middle >= one.trend[0] ? ink.up : ink.down;
    const trend = { values: one.trend, color, filled: true };
    plot(one.row.cellsBy.trend.firstChild, TREND_POINTS, [trend], false);
  }
}
