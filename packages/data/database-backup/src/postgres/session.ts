import { StringDecoder } from 'node:string_decoder';
import { randomBytes } from 'node:crypto';
import type { RunningProgram } from '@devstack-core/docker-engine';
import { failure, type Purpose } from './failure.ts';
import { InputQueue } from './input-queue.ts';
import { login, type Login } from './login.ts';
import type { PostgresPlace } from './place.ts';

/** One row, as `row_to_json` makes it: numbers beyond 2^53 must be selected as text. */
export type Row = Readonly<Record<string, unknown>>;

/** A connection that is kept open, through psql inside the container. One statement at a time; the first that fails ends it. */
export interface PsqlSession extends AsyncDisposable {
  /** Runs one SELECT, without its semicolon. */
  query(sql: string): Promise<readonly Row[]>;
  /** Runs statements that give nothing. */
  run(sql: string): Promise<void>;
}

export interface SessionOptions {
  readonly purpose: Purpose;
  readonly signal?: AbortSignal | undefined;
}

// What is written of a value depends on these; so do expressions and names in definitions.
const pinned = `
SET client_min_messages = warning;
SET standard_conforming_strings = on;
SET search_path = '';
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET IntervalStyle = 'postgres';
SET extra_float_digits = 1;
SET bytea_output = 'hex';
SET xmlbinary = 'base64';
SET xmloption = 'content';
SET lc_monetary = 'C';
SET lc_numeric = 'C';
SET quote_all_identifiers = off;
SET row_security = off;
SET synchronize_seqscans = off;
SET jit = off;
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
`;

/** Connects. Throws PLACE_UNUSABLE. */
export async function openSession(
  place: PostgresPlace,
  database: string,
  { purpose, signal }: SessionOptions,
): Promise<PsqlSession> {
  const access = await login(place);
  try {
    const input = new InputQueue();
    const program = await place.docker.execStream(
      place.container,
      // Written errors carry the state, by which they are told apart.
      ['psql', '-XAtqw', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', '-d', access.connection(database)],
      { stdin: input, ...(signal === undefined ? {} : { signal }) },
    );
    const session = new Psql(program, input, access, purpose, place, database);
    try {
      await session.prepare();
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
    return session;
  } catch (error) {
    await access[Symbol.asyncDispose]();
    throw error;
  }
}

/** Runs a few statements in a session of their own. */
export async function runOnce(
  place: PostgresPlace,
  database: string,
  sql: string,
  options: SessionOptions,
): Promise<void> {
  await using session = await openSession(place, database, options);
  await session.run(sql);
}

class Psql implements PsqlSession {
  readonly #program: RunningProgram;
  readonly #input: InputQueue;
  readonly #access: Login;
  readonly #purpose: Purpose;
  readonly #what: string;
  readonly #place: PostgresPlace;
  #backend: number | undefined;
  readonly #lines: AsyncGenerator<string, void, undefined>;
  readonly #mark = `devstack-${randomBytes(9).toString('hex')}`;
  #isBusy = false;
  #hasEnded = false;

  constructor(
    program: RunningProgram,
    input: InputQueue,
    access: Login,
    purpose: Purpose,
    place: PostgresPlace,
    database: string,
  ) {
    this.#program = program;
    this.#input = input;
    this.#access = access;
    this.#purpose = purpose;
    this.#place = place;
    this.#what = `A session with database "${database}"`;
    this.#lines = linesOf(program.stdout);
  }

  async prepare(): Promise<void> {
    await this.run(pinned);
    // Some are newer than the oldest server that is served. What a database does at its own events is not for us to set off.
    const [row] = await this.query(
      `SELECT pg_backend_pid() AS pid, (SELECT count(set_config(name, CASE name WHEN 'event_triggers' THEN 'off' ELSE '0' END, false)) FROM pg_settings WHERE name IN ('transaction_timeout', 'idle_session_timeout', 'event_triggers')) AS settings`,
    );
    this.#backend = Number(row?.['pid']);
  }

  async query(sql: string): Promise<readonly Row[]> {
    const lines = await this.#send(`SELECT row_to_json(q)::text FROM (${sql}\n) q;`);
    return lines.map((line) => JSON.parse(line) as Row);
  }

  async run(sql: string): Promise<void> {
    await this.#send(`${sql};`);
  }

  async #send(sql: string): Promise<readonly string[]> {
    this.#isBusy = true;
    this.#input.push(`${sql}\n\\echo ${this.#mark}\n`);
    const lines: string[] = [];
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done === true) {
        this.#hasEnded = true;
        const { exitCode, stderr } = await this.#program.ended;
        throw failure(this.#purpose, this.#what, exitCode, stderr);
      }
      if (value === this.#mark) break;
      lines.push(value);
    }
    this.#isBusy = false;
    return lines;
  }

  // psql would go on waiting for its answer, and the server would go on working on it.
  async #cutOff(): Promise<void> {
    if (this.#backend === undefined) return;
    await using other = await openSession(this.#place, 'postgres', { purpose: this.#purpose });
    await other.run(`SELECT pg_terminate_backend(${String(this.#backend)})`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#input.end();
    // A session at rest leaves at the end of its input, so that what it held is free when this returns. What fails here is gone anyway.
    if (this.#isBusy && !this.#hasEnded) await this.#cutOff().catch(() => undefined);
    else await this.#readOn().catch(() => undefined);
    await this.#lines.return().catch(() => undefined);
    await this.#access[Symbol.asyncDispose]();
  }

  async #readOn(): Promise<void> {
    while ((await this.#lines.next()).done !== true);
  }
}

async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of bytes) {
    const lines = (rest + decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  if (rest !== '') yield rest;
}
