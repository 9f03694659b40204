// Bun.serve with its own publish/subscribe (uWebSockets inside): native code does the fan-out.

const EXPECTED = "usage: bun server.js --listen 127.0.0.1:PORT (0 = any), or --version";
// What a slow client may have queued; beyond that Bun leaves messages out for it.
const BACKLOG_BYTES_MAX = 16 << 20;
const MESSAGE_BYTES_MAX = 16 << 20;

const websocket = {
  perMessageDeflate: false,
  idleTimeout: 0,
  sendPings: false,
  maxPayloadLength: MESSAGE_BYTES_MAX,
  backpressureLimit: BACKLOG_BYTES_MAX,
  open(socket) {
    if (socket.data !== null) socket.subscribe(socket.data);
  },
  message(socket, message) {
    const topic = socket.data;
    if (topic === null) {
      socket.send(message, false);
    } else if (typeof message === "string") {
      socket.publishText(topic, message, false);
    } else {
      socket.publishBinary(topic, message, false);
    }
  },
};

// The topic of a path, null for the echo, undefined for anything else.
function topicOf(path) {
  if (path === "/echo") return null;
  return path.startsWith("/ws/") ? path : undefined;
}

function serve(hostname, port) {
  const server = Bun.serve({
    hostname,
    port,
    fetch(request, server) {
      const topic = topicOf(new URL(request.url).pathname);
      if (topic === undefined) return new Response("not here\n", { status: 404 });
      if (server.upgrade(request, { data: topic })) return undefined;
      return new Response("a WebSocket is expected\n", { status: 426 });
    },
    websocket,
  });
  console.log(`listening on ${hostname}:${server.port}`);
}

const [option, value] = process.argv.slice(2);
const address = /^(\d+\.\d+\.\d+\.\d+):(\d+)$/.exec(value ?? "");
if (option === "--version") {
  console.log(`bun ${Bun.version}`);
} else if (option === "--listen" && address !== null) {
  serve(address[1], Number(address[2]));
} else {
  console.error(EXPECTED);
  process.exit(2);
}
