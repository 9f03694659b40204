// The parts of the demo's feed.js that do no I/O, on the golden events of the protocol.
// Run by `node --test`.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

// By its text, because a `.js` file is no module for an older Node.
const source = readFileSync(new URL("../../engine/server/assets/feed.js", import.meta.url));
const { Commands, Streams, backoffMs, isPattern, mayReturn, restoration } =
  await import(`data:text/javascript;base64,${source.toString("base64")}`);

const GOLDEN = new URL("../../engine/feed/golden/json/", import.meta.url);
const golden = (name) => JSON.parse(readFileSync(new URL(name, GOLDEN), "utf8"));

const EPOCH = "9f2c";
function streams(...entries) {
  const made = new Streams();
  for (const entry of entries) made.granted({ epoch: EPOCH, sid: 1, ...entry });
  return made;
}
const message = (topic, seq) => ({ type: "message", topic, seq });
const lossless = (topic, seq) => ({ topic, seq, policy: "lossless:gap" });

test("golden events are taken for what they are", () => {
  const [known, commands] = [new Streams(), new Commands()];
  const files = readdirSync(new URL("events/", GOLDEN));
  assert.ok(files.length > 20, `${files}`);
  for (const file of files) commands.take(golden(`events/${file}`));
  golden("events/subscribed.json").ok.forEach((entry) => known.granted(entry));
  golden("events/subscribed_to_a_variant.json").ok.forEach((entry) => known.granted(entry));
  known.granted(golden("events/subscribed_by_pattern.json").ok[0], "trade.*");
  const take = (file) => known.take(golden(`events/${file}.json`));
  assert.deepEqual(["message", "message_base64", "gap", "snapshot", "stream_state"].map(take),
    ["next", "next", "gap", "reset", "next"]);
  assert.equal(known.get("quote.BTCUSDT").state, "stale");
  const held = (name) => known.of(name).map(({ topic }) => topic);
  assert.deepEqual(held("book.BTCUSDT"), ["book.BTCUSDT@100ms"]);
  assert.deepEqual(held("trade.*"), ["trade.BTCUSDT"]);
});

test("on a latest topic a jump is conflation", () => {
  const known = streams({ topic: "quote.A", seq: 5, policy: "latest" });
  assert.equal(known.take(message("quote.A", 6)), "next");
  assert.equal(known.take(message("quote.A", 106)), "conflated");
  const { received, conflated, holes } = known.get("quote.A");
  assert.deepEqual([received, conflated, holes], [2, 99, 0]);
});

test("on a lossless topic a jump without a gap is a hole, with one it is told", () => {
  const known = streams(lossless("trade.A", 5));
  assert.equal(known.take({ type: "gap", topic: "trade.A", from: 6, to: 40 }), "gap");
  assert.equal(known.take(message("trade.A", 41)), "next");
  assert.equal(known.take(message("trade.A", 41)), "repeated");
  assert.equal(known.take(message("trade.A", 44)), "hole");
  const { told, holes, repeated } = known.get("trade.A");
  assert.deepEqual([told, holes, repeated], [35, 2, 1]);
});

test("what latest_by_key conflates is published minus received, in any order", () => {
  const known = streams({ topic: "market.all", seq: 10, policy: "latest_by_key" });
  for (const seq of [14, 12, 15]) known.take(message("market.all", seq));
  const { received, conflated, repeated } = known.get("market.all");
  assert.deepEqual([received, conflated, repeated], [3, 2, 0]);
});

test("a message of one's own without echo leaves no hole", () => {
  const known = streams(lossless("chat.a", 5));
  known.take({ type: "published", topic: "chat.a", seq: 6 });
  assert.equal(known.take(message("chat.a", 7)), "next");
});

test("answers that name a topic are no messages of it", () => {
  const known = streams(lossless("chat.a", 5));
  for (const type of ["history", "presence", "delivered", "joined", "left", "error"]) {
    assert.equal(known.take({ type, topic: "chat.a", seq: 5 }), "next");
  }
  const { seq, received, repeated, holes } = known.get("chat.a");
  assert.deepEqual([seq, received, repeated, holes], [5, 0, 0, 0]);
});

test("a snapshot at any time means: reset to this", () => {
  const known = streams(lossless("book.A", 5));
  assert.equal(known.take({ type: "snapshot", topic: "book.A", seq: 90 }), "reset");
  assert.equal(known.take(message("book.A", 91)), "next");
  assert.equal(known.get("book.A").holes, 0);
});

test("a resumed stream goes on where it was, one that is not tells the gap", () => {
  const known = streams(lossless("trade.A", 5), lossless("trade.B", 5));
  known.cut();
  const again = (topic, resumed) =>
    known.granted({ ...lossless(topic, 9), epoch: EPOCH, sid: 2, resumed });
  assert.equal(again("trade.A", true), null);
  assert.equal(known.take(message("trade.A", 6)), "next");
  const gap = { type: "gap", topic: "trade.B", from: 6, to: 9, reason: "not resumed" };
  assert.deepEqual(again("trade.B", false), gap);
  assert.equal(known.take(message("trade.B", 10)), "next");
  assert.equal(known.get("trade.B").told, 4);
});

test("a quote that is not resumed has its snapshot, and no gap", () => {
  const quote = { topic: "quote.A", seq: 5, policy: "latest", epoch: EPOCH };
  const known = streams(quote);
  known.cut();
  assert.equal(known.granted({ ...quote, seq: 50, resumed: false }), null);
  assert.equal(known.get("quote.A").conflated, 44, "the snapshot stands for the last of 45");
});

test("streams are restored before patterns, each policy by itself, within the limit", () => {
  const known = streams(lossless("trade.A", 5), { ...lossless("quote.A@100ms", 8),
    requested: "quote.A" });
  known.granted({ ...lossless("chat.a", 3), epoch: EPOCH }, "chat.*");
  known.granted({ ...lossless("chat.b", 4), epoch: "old" }, "chat.*");
  known.cut();
  const wishes = new Map([["trade.A"], ["quote.A", { max_hz: 10 }], ["chat.*"], ["trade.B"]]);
  const { first, patterns } = restoration(wishes, known, EPOCH, 2);
  assert.deepEqual(first.map(({ topics, policy, resume }) => [topics, policy, resume.seq]), [
    [["trade.A", "chat.a"], undefined, { "trade.A": 5, "chat.a": 3 }],
    [["trade.B"], undefined, {}],
    [["quote.A"], { max_hz: 10 }, { "quote.A": 8 }],
  ]);
  assert.deepEqual(patterns, [{ type: "subscribe", topics: ["chat.*"], policy: undefined }]);
  assert.equal(known.get("chat.b"), undefined, "of another epoch");
});

test("an answer in parts is one answer", async () => {
  const commands = new Commands();
  const { id, text, answer } = commands.make({ type: "subscribe", topics: ["a", "b"] });
  assert.deepEqual(JSON.parse(text), { type: "subscribe", topics: ["a", "b"], id });
  const part = (topic, remaining) =>
    ({ type: "subscribed", id, ok: [{ topic }], errors: [], remaining });
  commands.take(part("a", 1));
  commands.take(part("b"));
  assert.deepEqual((await answer).ok, [{ topic: "a" }, { topic: "b" }]);
});

test("a refusal and a cut reject, and say whether to try again", async () => {
  const commands = new Commands();
  const refused = commands.make({ type: "publish" });
  const error = golden("events/error.json");
  commands.take({ ...error, id: refused.id });
  await assert.rejects(refused.answer, { code: error.code, retry: false });
  const cut = commands.make({ type: "ping" });
  commands.fail("cut");
  await assert.rejects(cut.answer, { code: 503, retry: true });
});

test("waits double, with jitter, up to a bound", () => {
  assert.deepEqual([0, 1, 2, 20].map((n) => backoffMs(n, () => 1)), [500, 1000, 2000, 15000]);
  assert.equal(backoffMs(1, () => 0), 500);
});

test("codes say whether to come back, names whether they are patterns", () => {
  for (const code of [1001, 1005, 1006, 1011, 1012, 1013, 4407, 4408, 4429]) {
    assert.ok(mayReturn(code), `${code}`);
  }
  for (const code of [1000, 1008, 4401, 4403]) assert.ok(!mayReturn(code), `${code}`);
  for (const name of ["quote.*", "*.A", "a.>", "quote.*@100ms", "*"]) assert.ok(isPattern(name));
  for (const name of ["quote.A", "quote.A@1s", "a-b", "a*b.c"]) assert.ok(!isPattern(name));
});
