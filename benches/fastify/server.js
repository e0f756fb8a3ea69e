#!/usr/bin/env node
// The second baseline: the bridge that one would write in an afternoon with Node.js, fastify and better-sqlite3.
//
// It accepts the same signed forms from the same generator as the bridge, with the same durability (WAL, FULL), and
// continues every bot at least once, even after a crash. In its favour, it has what a good tutorial recommends:
// prepared statements, keep-alive connections, no log, integer ids, and only two transactions for a job, an INSERT
// before the 200 and an UPDATE after the continue. It has no batches: better-sqlite3 is synchronous, so each statement
// is a transaction, and the process waits for its sync. It lacks what `benches/baseline/` lacks too: rate limits,
// circuit breakers, leases, deadlines, fallbacks, metrics, limits for slow callers.
//
// `server.js serve --config FILE` reads the keys that it needs from the bridge's configuration, listens on a free port,
// and writes the port to stderr, as the bridge does. It runs until it is killed.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import formbody from '@fastify/formbody';
import Database from 'better-sqlite3';
import { createVerifier } from 'fast-jwt';
import Fastify from 'fastify';
import qs from 'qs';
import { parse } from 'smol-toml';
import { Agent, request } from 'undici';

const POLL_INTERVAL_MS = 50;
const MAX_PARALLEL_JOBS = 64;
const CALL_TIMEOUT_MS = 20_000;

const config = parse(readFileSync(process.argv.at(-1), 'utf8'));
const { client_secret: clientSecret } = Object.values(config.integrations)[0];
const { base_url: baseUrl, access_token: accessToken } = Object.values(config.accounts)[0];

// --- The store ---

const db = new Database(config.store.url.replace(/^sqlite:/, ''));
db.pragma('journal_mode = WAL');
// The default of better-sqlite3 in WAL mode is NORMAL, which may lose a commit when the power fails.
db.pragma('synchronous = FULL');
db.exec(`
  CREATE TABLE IF NOT EXISTS jobs (
    id          INTEGER PRIMARY KEY,
    jti         TEXT    NOT NULL UNIQUE,
    state       TEXT    NOT NULL DEFAULT 'queued',
    handler     TEXT    NOT NULL,
    return_url  TEXT    NOT NULL,
    data        TEXT    NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    due_at      INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    finished_at INTEGER
  );
  CREATE INDEX IF NOT EXISTS jobs_due ON jobs (due_at) WHERE state = 'queued';
`);
const insert = db.prepare(
  `INSERT INTO jobs (jti, handler, return_url, data, due_at, received_at)
   VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (jti) DO NOTHING`,
);
const find = db.prepare('SELECT id FROM jobs WHERE jti = ?').pluck();
const due = db.prepare(
  `SELECT id, return_url, data, attempts FROM jobs
   WHERE state = 'queued' AND due_at <= ? ORDER BY due_at LIMIT ?`,
);
const finish = db.prepare('UPDATE jobs SET state = ?, finished_at = ?, attempts = attempts + 1 WHERE id = ?');
const postpone = db.prepare('UPDATE jobs SET due_at = ?, attempts = attempts + 1 WHERE id = ?');

// --- Requests ---

const verify = createVerifier({ key: clientSecret, algorithms: ['HS512'] });
const app = Fastify();
app.register(formbody, { parser: (text) => qs.parse(text) });

app.post('/widget_request/:handler', (call, reply) => {
  const { token, return_url: returnUrl, data } = call.body;
  let claims;
  try {
    claims = verify(token);
  } catch {
    return reply.code(401).send();
  }
  if (claims.iss !== baseUrl || !returnUrl?.startsWith(`${baseUrl}/`)) {
    return reply.code(422).send();
  }
  const now = Date.now();
  const stored = insert.run(claims.jti, call.params.handler, returnUrl, JSON.stringify(data ?? null), now, now);
  const isNew = stored.changes === 1;
  return reply.send({ job_id: isNew ? stored.lastInsertRowid : find.get(claims.jti), duplicate: !isNew });
});

// --- The worker ---

const dispatcher = new Agent({
  connections: MAX_PARALLEL_JOBS,
  headersTimeout: CALL_TIMEOUT_MS,
  bodyTimeout: CALL_TIMEOUT_MS,
});

// The completion of the bridge's handler `echo`.
function echo(data) {
  const isObject = data !== null && typeof data === 'object' && !Array.isArray(data);
  return { data: { status: 'success', ...(isObject ? data : { data }) } };
}

async function send(job) {
  const { statusCode, body } = await request(job.return_url, {
    dispatcher,
    method: 'POST',
    headers: { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' },
    body: JSON.stringify(echo(JSON.parse(job.data))),
  });
  await body.dump();
  return statusCode;
}

async function step(job) {
  const status = await send(job).catch(() => 0);
  const now = Date.now();
  if (status >= 200 && status < 300) {
    finish.run('delivered', now, job.id);
  } else if (status === 404) {
    finish.run('gone', now, job.id);
  } else {
    // Backoff: 0.5 s, 1 s, 2 s, … up to a minute.
    postpone.run(now + Math.min(500 * 2 ** job.attempts, 60_000), job.id);
  }
}

// Polls for due jobs, and continues up to 64 of them concurrently. Does not sleep while there are jobs.
async function work() {
  for (;;) {
    const jobs = due.all(Date.now(), MAX_PARALLEL_JOBS);
    if (jobs.length === 0) {
      await sleep(POLL_INTERVAL_MS);
    }
    await Promise.all(jobs.map(step));
  }
}

await app.listen({ host: '127.0.0.1', port: 0 });
const address = `127.0.0.1:${app.server.address().port}`;
console.error(JSON.stringify({ message: 'ready', 'server.listen': address, 'admin.listen': address }));
await work();
