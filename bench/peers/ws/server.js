// Node's `ws`: a message is framed once; what a turn of the loop queues goes out in one write.

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { Sender, WebSocketServer } from "ws";

const EXPECTED = "usage: node server.js --listen 127.0.0.1:PORT (0 = any), or --version";
// What a slow client may have queued; beyond that its connection ends.
const BACKLOG_BYTES_MAX = 16 << 20;
const MESSAGE_BYTES_MAX = 16 << 20;
// Up to here it is cheaper to copy a payload behind its header once than to write two buffers.
const COPIED_BYTES_MAX = 64 << 10;

const topics = new Map();
const corked = [];

// The frame as the library makes it, in one buffer or two.
function encode(message, isBinary) {
  const options = { fin: true, rsv1: false, opcode: isBinary ? 2 : 1, mask: false, readOnly: true };
  const parts = Sender.frame(message, options);
  return message.length <= COPIED_BYTES_MAX ? [Buffer.concat(parts)] : parts;
}

// Queues the parts of one frame; the turn's end writes them out, with whatever else was queued.
function write(socket, parts) {
  if (socket.destroyed || !socket.writable) return;
  if (socket.writableLength > BACKLOG_BYTES_MAX) {
    socket.destroy();
    return;
  }
  if (socket.writableCorked === 0) {
    socket.cork();
    if (corked.push(socket) === 1) setImmediate(uncorkAll);
  }
  for (const part of parts) socket.write(part);
}

function uncorkAll() {
  for (const socket of corked) socket.uncork();
  corked.length = 0;
}

function join(topic, client, socket) {
  let members = topics.get(topic);
  if (members === undefined) topics.set(topic, (members = new Set()));
  members.add(socket);
  client.on("message", (message, isBinary) => {
    const parts = encode(message, isBinary);
    for (const member of members) if (member !== socket) write(member, parts);
  });
  client.on("close", () => {
    members.delete(socket);
    if (members.size === 0 && topics.get(topic) === members) topics.delete(topic);
  });
}

function serve(host, port) {
  const upgrades = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MESSAGE_BYTES_MAX,
  });
  const server = createServer((_, response) => response.writeHead(426).end());
  server.on("upgrade", (request, socket, head) => {
    const path = request.url;
    if (path !== "/echo" && !path.startsWith("/ws/")) {
      socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n");
      return;
    }
    socket.setNoDelay(true);
    upgrades.handleUpgrade(request, socket, head, (client) => {
      client.on("error", () => client.terminate());
      if (path === "/echo") {
        client.on("message", (message, isBinary) => write(socket, encode(message, isBinary)));
      } else {
        join(path, client, socket);
      }
    });
  });
  server.listen({ host, port, backlog: 4096 }, () => {
    console.log(`listening on ${host}:${server.address().port}`);
  });
}

const [option, value] = process.argv.slice(2);
const address = /^(\d+\.\d+\.\d+\.\d+):(\d+)$/.exec(value ?? "");
if (option === "--version") {
  const { version } = createRequire(import.meta.url)("ws/package.json");
  console.log(`ws ${version}, node ${process.version}`);
} else if (option === "--listen" && address !== null) {
  serve(address[1], Number(address[2]));
} else {
  console.error(EXPECTED);
  process.exit(2);
}
