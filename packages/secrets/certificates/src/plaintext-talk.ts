/** Protocols that can be asked whether they go on without TLS. */
export type PlaintextProtocol = 'postgres' | 'mysql' | 'redis' | 'amqp' | 'http' | 'mongodb';

/** `accepted`: it goes on in plain text, be it to ask for a password. `refused`: it says that it will not. Undefined: more bytes are needed. */
export type PlaintextAnswer = { readonly kind: 'accepted' | 'refused'; readonly reason: string } | undefined;

/** How each protocol begins in plain text, and how a server's first words are to be taken. */
export interface PlaintextTalk {
  /** What the client says first; nothing where the server speaks first. */
  readonly opening: Buffer | undefined;
  /** Judges all bytes so far. May give a reply to send instead, once. */
  judge(bytes: Buffer, hasReplied: boolean): PlaintextAnswer | { readonly kind: 'reply'; readonly bytes: Buffer };
}

const accepted = (reason: string): PlaintextAnswer => ({ kind: 'accepted', reason });
const refused = (reason: string): PlaintextAnswer => ({ kind: 'refused', reason });
/** A name that no server has: who accepts it goes on to ask for its password. */
const nobody = 'devstack-probe';

export const plaintextTalks: Readonly<Record<PlaintextProtocol, PlaintextTalk>> = {
  // StartupMessage of protocol 3.0; the answer is an authentication request (R) or an error (E) with its text.
  postgres: {
    opening: startupMessage(),
    judge(bytes) {
      if (bytes[0] === 0x52) return accepted('it asks for a login');
      if (bytes[0] !== 0x45 || bytes.length < 5 || bytes.length < bytes.readUInt32BE(1) + 1) return undefined;
      const text = bytes.subarray(5).toString('utf8').replaceAll('\0', ' ').trim();
      return /no encryption|SSL off|SSL required|TLS required/i.test(text)
        ? refused('it wants encryption')
        : accepted('it answers with an error of its own');
    },
  },
  // HandshakeResponse41 without SSL; 3159 is ER_SECURE_TRANSPORT_REQUIRED.
  mysql: {
    opening: undefined,
    judge(bytes, hasReplied) {
      if (bytes.length < 4) return undefined;
      const length = bytes.readUIntLE(0, 3);
      if (bytes.length < length + 4) return undefined;
      if (!hasReplied) {
        if (bytes[4] === 0xff) return accepted('it refuses this host, in plain text');
        return { kind: 'reply', bytes: mysqlLogin() };
      }
      const second = bytes.subarray(length + 4);
      if (second.length < 7) return undefined;
      return second[4] === 0xff && second.readUInt16LE(5) === 3159
        ? refused('it wants encryption (3159)')
        : accepted('it goes on with the login');
    },
  },
  redis: {
    opening: Buffer.from('PING\r\n'),
    judge: (bytes) => (bytes[0] === 0x2b || bytes[0] === 0x2d ? accepted('it answers') : undefined),
  },
  // Connection.Start is a method frame (1) on channel 0; a server that wants another version sends its own header.
  amqp: {
    opening: Buffer.from('AMQP\0\0\x09\x01', 'latin1'),
    judge: (bytes) =>
      bytes[0] === 1 || bytes.subarray(0, 4).toString() === 'AMQP' ? accepted('it answers') : undefined,
  },
  // Servers of Go and nginx answer plain HTTP on a TLS port with a 400 that says so.
  http: {
    opening: Buffer.from(`GET / HTTP/1.1\r\nHost: ${nobody}\r\nConnection: close\r\n\r\n`),
    judge(bytes) {
      const text = bytes.toString('latin1');
      if (!/^HTTP\/1\.[01] \d{3}/.test(text)) return undefined;
      if (/HTTP request (was sent )?to (an )?HTTPS/i.test(text)) return refused('it wants HTTPS');
      // The reason may still come.
      return text.startsWith('HTTP/1.0 400') || text.startsWith('HTTP/1.1 400') ? undefined : accepted('it answers');
    },
  },
  // OP_MSG (2013) with {hello: 1, $db: 'admin'}.
  mongodb: {
    opening: mongoHello(),
    judge: (bytes) => (bytes.length >= 16 && bytes.readInt32LE(12) === 2013 ? accepted('it answers') : undefined),
  },
};

function startupMessage(): Buffer {
  const fields = Buffer.from(`user\0${nobody}\0database\0${nobody}\0\0`);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(fields.length + 8, 0);
  head.writeUInt32BE(0x3_0000, 4);
  return Buffer.concat([head, fields]);
}

function mysqlLogin(): Buffer {
  const head = Buffer.alloc(32);
  // CLIENT_LONG_PASSWORD, CLIENT_PROTOCOL_41, CLIENT_TRANSACTIONS, CLIENT_SECURE_CONNECTION, CLIENT_PLUGIN_AUTH.
  head.writeUInt32LE(0x1 | 0x200 | 0x2000 | 0x8000 | 0x8_0000, 0);
  head.writeUInt32LE(0x100_0000, 4);
  head[8] = 45;
  const body = Buffer.concat([
    head,
    Buffer.from(`${nobody}\0`),
    Buffer.from([0]),
    Buffer.from('mysql_native_password\0'),
  ]);
  const frame = Buffer.alloc(4);
  frame.writeUIntLE(body.length, 0, 3);
  frame[3] = 1;
  return Buffer.concat([frame, body]);
}

function mongoHello(): Buffer {
  const document = Buffer.concat([
    Buffer.from('\x10hello\0', 'latin1'),
    Buffer.from([1, 0, 0, 0]),
    Buffer.from('\x02$db\0', 'latin1'),
    Buffer.from([6, 0, 0, 0]),
    Buffer.from('admin\0\0'),
  ]);
  const message = Buffer.alloc(16 + 4 + 1 + 4);
  message.writeInt32LE(message.length + document.length, 0);
  message.writeInt32LE(1, 4);
  message.writeInt32LE(2013, 12);
  message.writeInt32LE(document.length + 4, 21);
  return Buffer.concat([message, document]);
}
