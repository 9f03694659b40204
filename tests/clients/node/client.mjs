// Node `ws` against `corecast serve --echo`. Arguments: URL, message limit, and `plain` or
// `deflate`: whether the server agrees to compress. The client offers it in either case.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';

const [url, messageBytesMax] = [process.argv[2], Number(process.argv[3])];
const mode = process.argv[4];
const deflate = mode === 'deflate';
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

  async extensionIsNegotiatedWhereItIsEnabled() {
    const client = await connect('/echo');
    assert.equal(client.socket.extensions, deflate ? 'permessage-deflate' : '');
    assert.equal(client.socket.protocol, '');
    await client.close();
    const plain = await connect('/echo', false);
    assert.equal(plain.socket.extensions, '');
    await plain.close();
  },

  async offersAreAnsweredWithWhatTheyAskFor() {
    const always = 'permessage-deflate; server_no_context_takeover';
    const none = 'client_no_context_takeover';
    for (const [offer, expected, isCompressed] of [
      [{}, always, true],
      [{ clientMaxWindowBits: 9 }, always, true],
      [{ serverMaxWindowBits: 15 }, `${always}; server_max_window_bits=15`, true],
      // One deflate serves all, with the longest window: who wants a shorter one gets it as it is.
      [{ serverMaxWindowBits: 10 }, `${always}; server_max_window_bits=10`, false],
      [{ clientNoContextTakeover: true }, `${always}; ${none}`, true],
      [
        { clientNoContextTakeover: true, serverNoContextTakeover: true, serverMaxWindowBits: 9 },
        `${always}; ${none}; server_max_window_bits=9`,
        false,
      ],
    ]) {
      const client = await connect('/echo', { threshold: 0, ...offer });
      assert.equal(client.agreed, expected);
      const text = 'κόσμε'.repeat(20_000);
      for (const message of [text, text, '', Buffer.alloc(0)]) {
        client.socket.send(message);
        assert.deepEqual(await client.next(), message);
      }
      const { bytesRead, bytesWritten } = client.transport;
      assert.equal(bytesRead < 20_000, isCompressed, `${expected}: ${bytesRead} bytes came`);
      assert.ok(bytesWritten < 20_000, `${bytesWritten} bytes went`);
      await client.close();
    }
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
// It compresses all that it sends, where that is agreed to.
async function connect(path, perMessageDeflate = { threshold: 0 }) {
  const socket = new WebSocket(url + path, { maxPayload: 4 * messageBytesMax, perMessageDeflate });
  const client = { socket, received: [], closed: once(socket, 'close') };
  let wake = () => {};
  socket.on('upgrade', (answer) => {
    client.agreed = answer.headers['sec-websocket-extensions'];
    client.transport = answer.socket;
  });
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

if (!deflate) delete checks.offersAreAnsweredWithWhatTheyAskFor;
let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await withinTime(check());
    console.log(`ok ws, ${mode}: ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`not ok ws, ${mode}: ${name}: ${error.message}`);
    console.error(error);
  }
}
process.exit(failed ? 1 : 0);
