// Node `ws` against `corecast serve --echo`: URL and message limit as arguments.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';

const [url, messageBytesMax] = [process.argv[2], Number(process.argv[3])];
const SECONDS_MAX = 15;

const checks = {
  text: () => echo('hello'),
  textOfSeveralScripts: () => echo('κόσμε, Здравствуй, 世界, 🜁'.repeat(50)),
  emptyBinary: () => echo(Buffer.alloc(0)),
  binary: () => echo(Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))),
  messageOfTheGreatestSize: () => echo(randomBytes(messageBytesMax)),

  async messageOverTheLimitEndsWith1009() {
    const client = await connect('/echo');
    client.socket.send(Buffer.alloc(messageBytesMax + 1));
    assert.equal((await client.closed)[0], 1009);
  },

  async fragmentedMessageComesBackWhole() {
    const client = await connect('/echo');
    // The first part ends inside a character.
    const whole = Buffer.from('κόσμε'.repeat(20_000));
    client.socket.send(whole.subarray(0, 3), { binary: false, fin: false });
    client.socket.ping('between two parts');
    client.socket.send(Buffer.alloc(0), { fin: false });
    client.socket.send(whole.subarray(3), { fin: true });
    assert.deepEqual(await client.next(), whole.toString());
    await client.close();
  },

  async invalidUtf8EndsWith1007() {
    const client = await connect('/echo');
    client.socket.send(Buffer.from([0xce, 0xba, 0xed, 0xa0, 0x80]), { binary: false });
    assert.equal((await client.closed)[0], 1007);
  },

  async pingIsAnsweredWithItsPayload() {
    const client = await connect('/echo');
    const payload = randomBytes(125);
    client.socket.ping(payload);
    const [pong] = await once(client.socket, 'pong');
    assert.deepEqual(pong, payload);
    await client.close();
  },

  async manyMessagesKeepTheirOrder() {
    const client = await connect('/echo');
    for (let number = 0; number < 500; number++) client.socket.send(`message ${number}`);
    for (let number = 0; number < 500; number++) {
      assert.equal(await client.next(), `message ${number}`);
    }
    await client.close();
  },

  async closeCodesAreAnsweredInKind() {
    for (const code of [1000, 1001, 1011, 3000, 4999]) {
      const client = await connect('/echo');
      client.socket.close(code, 'because');
      assert.equal((await client.closed)[0], code);
    }
  },

  async noExtensionIsNegotiated() {
    const client = await connect('/echo');
    assert.equal(client.socket.extensions, '');
    assert.equal(client.socket.protocol, '');
    await client.close();
  },

  async broadcastReachesAllOthersInOrder() {
    const topic = `/ws/node.${process.pid}`;
    const [sender, first, second] = await Promise.all([1, 2, 3].map(() => connect(topic)));
    const stranger = await connect(`${topic}.other`);
    const sent = Array.from({ length: 300 }, (_, number) =>
      number % 2 ? `${number} ∀` : Buffer.from([number & 255, 1, 2]),
    );
    for (const message of sent) sender.socket.send(message);
    for (const receiver of [first, second]) {
      for (const message of sent) assert.deepEqual(await receiver.next(), message);
    }
    first.socket.send('and back');
    assert.equal(await sender.next(), 'and back', 'the sender got its own message');
    assert.equal(await second.next(), 'and back');
    await sleep(300);
    assert.deepEqual(stranger.received, []);
    for (const client of [sender, first, second, stranger]) await client.close();
  },
};

async function echo(message) {
  const client = await connect('/echo');
  client.socket.send(message);
  assert.deepEqual(await client.next(), message);
  await client.close();
}

// A connection that keeps what it receives: a string per text, a Buffer per binary message.
async function connect(path) {
  const socket = new WebSocket(url + path, { maxPayload: 4 * messageBytesMax });
  const client = { socket, received: [], closed: once(socket, 'close') };
  let wake = () => {};
  socket.on('message', (data, isBinary) => {
    client.received.push(isBinary ? data : data.toString());
    wake();
  });
  socket.on('close', () => wake());
  client.next = async () => {
    while (client.received.length === 0) {
      assert.equal(socket.readyState, WebSocket.OPEN, 'closed instead of a message');
      await new Promise((resolve) => (wake = resolve));
    }
    return client.received.shift();
  };
  client.close = async () => {
    socket.close(1000);
    assert.equal((await client.closed)[0], 1000);
  };
  await once(socket, 'open');
  return client;
}

function withinTime(promise) {
  const timer = new AbortController();
  const late = sleep(SECONDS_MAX * 1000, null, { signal: timer.signal, ref: true }).then(() => {
    throw new Error(`no end within ${SECONDS_MAX} s`);
  });
  return Promise.race([promise, late]).finally(() => {
    late.catch(() => {});
    timer.abort();
  });
}

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await withinTime(check());
    console.log(`ok ws: ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`not ok ws: ${name}: ${error.message}`);
    console.error(error);
  }
}
process.exit(failed ? 1 : 0);
