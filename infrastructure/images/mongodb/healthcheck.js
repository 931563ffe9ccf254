#!/usr/local/bin/node
// Logs in with SCRAM-SHA-256 (RFC 5802, 7677) and asks for a ping. Each login reads the user from PostgreSQL, so the whole way is
// proven; loading the MongoDB driver for that would cost ten times as much. The password is hex: no SASLprep is needed.
import { Buffer } from 'node:buffer';
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

const { username, password } = JSON.parse(readFileSync('/run/credentials/health.json', 'utf8'));
const socket = connect(27017, '127.0.0.1');
const fail = (why) => {
  console.error(why);
  process.exit(1);
};
socket.setTimeout(4000, () => fail('no answer within 4 s'));
socket.on('error', (error) => fail(error.code ?? 'connection failed'));
socket.on('close', () => fail('the server closed the connection'));

let received = Buffer.alloc(0);
let waiting;
socket.on('data', (chunk) => {
  received = Buffer.concat([received, chunk]);
  if (received.length < 4 || received.length < received.readInt32LE(0)) return;
  const message = received.subarray(0, received.readInt32LE(0));
  received = received.subarray(message.length);
  waiting?.(parse(message.subarray(21)));
});

// Element types of BSON that these messages use: https://bsonspec.org/spec.html
const cstring = (text) => Buffer.from(`${text}\0`);
const int32 = (value) => {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32LE(value);
  return buffer;
};
function element(name, value) {
  if (typeof value === 'number') return Buffer.concat([Buffer.of(0x10), cstring(name), int32(value)]);
  if (typeof value === 'string')
    return Buffer.concat([Buffer.of(0x02), cstring(name), int32(Buffer.byteLength(value) + 1), cstring(value)]);
  return Buffer.concat([Buffer.of(0x05), cstring(name), int32(value.length), Buffer.of(0), value]);
}
function bson(fields) {
  const body = Buffer.concat(Object.entries(fields).map(([name, value]) => element(name, value)));
  return Buffer.concat([int32(body.length + 5), body, Buffer.of(0)]);
}
function parse(buffer) {
  const fields = {};
  for (let at = 4; buffer[at] !== 0;) {
    const type = buffer[at];
    const end = buffer.indexOf(0, at + 1);
    const name = buffer.toString('utf8', at + 1, end);
    at = end + 1;
    if (type === 0x01) ((fields[name] = buffer.readDoubleLE(at)), (at += 8));
    else if (type === 0x02)
      ((fields[name] = buffer.toString('utf8', at + 4, at + 3 + buffer.readInt32LE(at))),
        (at += 4 + buffer.readInt32LE(at)));
    else if (type === 0x05)
      ((fields[name] = buffer.subarray(at + 5, at + 5 + buffer.readInt32LE(at))), (at += 5 + buffer.readInt32LE(at)));
    else if (type === 0x08) ((fields[name] = buffer[at] === 1), (at += 1));
    else if (type === 0x10) ((fields[name] = buffer.readInt32LE(at)), (at += 4));
    else if (type === 0x09 || type === 0x11 || type === 0x12) at += 8;
    else if (type === 0x03 || type === 0x04) at += buffer.readInt32LE(at);
    else break;
  }
  return fields;
}
async function command(fields) {
  const body = Buffer.concat([int32(0), Buffer.of(0), bson({ ...fields, $db: 'admin' })]);
  const answered = new Promise((resolve) => {
    waiting = resolve;
  });
  socket.write(Buffer.concat([int32(16 + body.length), int32(1), int32(0), int32(2013), body]));
  const answer = await answered;
  if (answer.ok !== 1) fail(answer.errmsg ?? 'the server answered with an error');
  return answer;
}

async function main() {
  const nonce = randomBytes(18).toString('base64');
  const first = `n=${username},r=${nonce}`;
  const started = await command({ saslStart: 1, mechanism: 'SCRAM-SHA-256', payload: Buffer.from(`n,,${first}`) });
  const challenge = started.payload.toString();
  const { r, s, i } = Object.fromEntries(challenge.split(',').map((part) => [part[0], part.slice(2)]));
  if (!r.startsWith(nonce)) fail('the server answered with another nonce');
  const salted = pbkdf2Sync(password, Buffer.from(s, 'base64'), Number(i), 32, 'sha256');
  const hmac = (key, text) => createHmac('sha256', key).update(text).digest();
  const clientKey = hmac(salted, 'Client Key');
  const proofless = `c=biws,r=${r}`;
  const authMessage = `${first},${challenge},${proofless}`;
  const signature = hmac(createHash('sha256').update(clientKey).digest(), authMessage);
  const proof = Buffer.from(clientKey.map((byte, index) => byte ^ signature[index])).toString('base64');
  const final = await command({
    saslContinue: 1,
    conversationId: started.conversationId,
    payload: Buffer.from(`${proofless},p=${proof}`),
  });
  if (!final.payload.toString().includes(hmac(hmac(salted, 'Server Key'), authMessage).toString('base64')))
    fail('the server could not prove that it knows the user');
  if (final.done === false)
    await command({ saslContinue: 1, conversationId: started.conversationId, payload: Buffer.alloc(0) });
  await command({ ping: 1 });
  process.exit(0);
}
await main();
