// The chat's tab: a feed of its own, because its address names the user.
import { Feed } from "./feed.js";

const TOPIC = "chat.lobby";
const HISTORY = 50;
const LINES_MAX = 300;

const byId = (id) => document.getElementById(id);
function make(name, className, ...children) {
  const node = Object.assign(document.createElement(name), { className });
  node.append(...children);
  return node;
}

let address;
let feed = null;
let name = "";
let client = "";
let epoch = "";
const people = new Map();           // client -> user
const sent = new Map();             // id of a `publish` -> its line, until it is delivered

export function startChat(url) {
  address = url;
  byId("name").value = sessionStorage.getItem("name") ?? "";
  byId("name").focus();
}

byId("join").addEventListener("submit", (event) => {
  event.preventDefault();
  name = byId("name").value.trim();
  if (!name) return;
  sessionStorage.setItem("name", name);
  byId("join").hidden = true;
  byId("room").hidden = byId("chat-cut").hidden = false;
  byId("text").focus();
  feed = new Feed(`${address}?user=${encodeURIComponent(name)}`, { onEvent: take, onState });
  feed.subscribe([TOPIC]);
  feed.connect();
});
addEventListener("pagehide", () => feed?.close());
byId("chat-cut").addEventListener("click", () => feed.cut());

function onState({ name: state, code, reason, inMs, welcome }) {
  if (state === "restored") return;
  const why = reason || `closed, ${code}`;
  byId("chat-state").dataset.state = state;
  byId("chat-state").textContent = {
    connecting: "connecting", live: "live", closed: `${why}, not coming back`,
    waiting: `${why} · next try in ${(inMs / 1000).toFixed(1)} s`,
  }[state];
  byId("chat-cut").disabled = state !== "live";
  if (!welcome) return;
  client = welcome.client;
  byId("chat-session").textContent = `${name} · client ${client}`;
}

function take(event) {
  switch (event.type) {
    case "subscribed": return subscribed(event);
    case "message": return event.topic === TOPIC && write(event);
    case "gap": return event.topic === TOPIC && refill(event);
    case "joined": return presence(event, true);
    case "left": return presence(event, false);
    case "delivered": return delivered(event);
    case "error": return complain(`${event.message} (${event.code})`);
  }
}

async function subscribed({ ok, errors }) {
  for (const { topic, message } of errors) complain(`${topic}: ${message}`);
  const entry = ok.find(({ topic }) => topic === TOPIC);
  if (!entry) return;
  if (epoch && entry.epoch !== epoch) {        // the numbers begin anew
    byId("lines").replaceChildren();
    remark("the server has started anew: what was said before is gone");
  }
  epoch = entry.epoch;
  if (entry.resumed) remark(`back, and nothing is missing: resumed at ${entry.seq}`);
  try {
    const { members, total } = await feed.presence(TOPIC);
    people.clear();
    for (const member of members) people.set(member.client, member.user);
    showPeople(total);
    if (!entry.resumed) await refill({});
  } catch ({ message }) {
    complain(message);
  }
}

// What was before this page came, or what it could not get.
async function refill({ from }) {
  try {
    const since = from === undefined ? {} : { since: from - 1 };
    const { messages } = await feed.history(TOPIC, { limit: HISTORY, ...since });
    for (const message of messages) write(message);
  } catch ({ message }) {
    complain(`the history did not come: ${message}`);
  }
}

// ---------------------------------------------------------------- lines

function makeLine(from, text, at) {
  const time = make("time", "", at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  const status = make("span", "status");
  const line = make("li", from === name ? "mine" : "", make("b", "", from), time,
    make("span", "text", text), status);
  return Object.assign(line, { status });
}

// Puts a line where its number says; one that has none yet stays at the end.
function place(line, seq = Infinity) {
  const lines = byId("lines");
  const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40;
  let after = lines.lastElementChild;
  while (after && (after === line || after.seq > seq)) after = after.previousElementSibling;
  line.seq = seq;
  if (after) after.after(line);
  else lines.prepend(line);
  while (lines.childElementCount > LINES_MAX) lines.firstElementChild.remove();
  if (atEnd) lines.scrollTop = lines.scrollHeight;
}

function write({ seq, ts, data }) {
  if ([...byId("lines").children].some((line) => line.seq === seq)) return;
  const { from, text } = Object(data);
  const at = new Date(Number(ts) / 1e6);
  place(makeLine(String(from ?? "somebody"), String(text ?? ""), at), seq);
}

// What happens between two messages stays between them.
function remark(text) {
  const last = [...byId("lines").children].findLast(({ seq }) => seq < Infinity);
  place(make("li", "remark", text), Math.floor(last?.seq ?? 0) + 0.5);
}
function complain(text) { byId("chat-error").textContent = text; }

// ---------------------------------------------------------------- saying

byId("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = byId("text").value.trim();
  if (!text) return;
  byId("text").value = "";
  complain("");
  say(text, makeLine(name, text, new Date()));
});

// Without echo the line is there at once, and the answer says where among the others it belongs.
async function say(text, line) {
  line.className = "mine pending";
  line.status.textContent = "sending …";
  place(line);
  try {
    const data = { from: name, text };
    const { id, seq } = await feed.publish(TOPIC, data, { echo: false, report: true });
    line.classList.remove("pending");
    line.status.textContent = "sent";
    place(line, seq);
    sent.set(id, line);
  } catch ({ message, retry }) {
    line.className = "mine failed";
    line.status.replaceChildren(`not sent: ${message} `);
    if (!retry) return;
    const again = make("button", "", "try again");
    again.onclick = () => say(text, line);
    line.status.append(again);
  }
}

function delivered({ id, delivered: count }) {
  const line = sent.get(id);
  if (!line) return;
  sent.delete(id);
  const others = count === 1 ? "one other connection" : `${count} other connections`;
  line.status.textContent = count ? `delivered to ${others}` : "sent, nobody else is here";
}

// ---------------------------------------------------------------- people

function presence({ topic, client: who, user }, joined) {
  if (topic !== TOPIC) return;
  const known = people.has(who);
  const hadUser = [...people.values()].filter((one) => one === user).length;
  if (joined) people.set(who, user);
  else people.delete(who);
  if (known !== joined && who !== client) {
    const called = user ?? `somebody (${who})`;
    if (joined) remark(hadUser ? `${called} joined on another connection` : `${called} joined`);
    else remark(hadUser > 1 ? `${called} closed a connection` : `${called} left`);
  }
  showPeople();
}

function showPeople(total = people.size) {
  const users = new Map();
  for (const [who, user] of people) {
    const key = user ?? `somebody (${who})`;
    users.set(key, (users.get(key) ?? 0) + 1);
  }
  const items = [...users].sort().map(([user, connections]) => {
    const item = make("li", user === name ? "mine" : "", user);
    item.dataset.user = user;
    if (connections > 1) item.append(make("small", "", `${connections} connections`));
    return item;
  });
  byId("people").replaceChildren(...items);
  byId("people-count").textContent = Math.max(total, people.size);
}
