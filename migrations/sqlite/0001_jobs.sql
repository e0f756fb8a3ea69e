-- Jobs, their attempts, and the idempotency keys of tokens that are still valid.
--
-- Times are milliseconds since 1970, UTC. Ids are UUIDv7 as 16 bytes, so rows of one time lie together.
--
-- They are of three clocks. What people see (received_at, started_at, finished_at) and what tokens say (expires_at) is by the
-- calendar. What is scheduled (waiting_since, answer_by, due_at, lease_until, failing_since, refused_at) is by the steady
-- clock of the process that serves the store: the calendar as it was when that process started, moved on by the time that
-- passes; each start moves these columns of unfinished and dead jobs to its own clock. What is deleted by age has a second
-- moment by the service time (…_service_at): the milliseconds for which bridges have served this store.
-- The CHECKs refuse the states that the types of the program refuse.

-- "SBBG": tells a store of this program from any other database.
PRAGMA application_id = 1396851271;

CREATE TABLE jobs (
    -- identity, and order of receipt
    id                BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    state             TEXT    NOT NULL
        CHECK (state IN ('queued', 'running', 'delivering', 'delivered', 'gone', 'dead', 'cancelled')),
    -- name of the handler
    handler           TEXT    NOT NULL CHECK (length(handler) BETWEEN 1 AND 64),
    -- Kommo's number of the account
    account_id        INTEGER NOT NULL,
    -- scheme, host and port of return_url: the lane in which its delivery is paced
    origin            TEXT    NOT NULL,
    -- where the continue is posted; used again by Kommo, so not unique
    return_url        TEXT    NOT NULL,
    -- Kommo's code and number of what the bot talks about, if the token names it
    entity_type       INTEGER,
    entity_id         INTEGER,
    -- when the request came in
    received_at       INTEGER NOT NULL,
    -- the same moment by the steady clock: how long the customer has waited
    waiting_since     INTEGER NOT NULL,
    -- from then on the fallback goes out
    answer_by         INTEGER NOT NULL,
    -- not to be claimed before; set while the job waits for something
    due_at            INTEGER,
    -- set while somebody works on the job; the claim is void after this moment
    lease_until       INTEGER,
    -- grows with each claim; a write that names an older one changes nothing
    fence             INTEGER NOT NULL DEFAULT 0,
    -- how often in a row the process died while the handler ran
    crashes           INTEGER NOT NULL DEFAULT 0 CHECK (crashes >= 0),
    -- attempts that were charged
    handler_attempts  INTEGER NOT NULL DEFAULT 0 CHECK (handler_attempts >= 0),
    delivery_attempts INTEGER NOT NULL DEFAULT 0 CHECK (delivery_attempts >= 0),
    -- delivery failures in a row, the exponent of the backoff, and the first of them
    failures          INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    failing_since     INTEGER,
    -- when Kommo last refused this job for its account (401, 402, 403); NULL: not since its completion was replaced.
    -- If that is not before failing_since, Kommo refuses this job for its own sake, and not its account
    refused_at        INTEGER,
    -- which deliveries go first: 0 a first try, 1 a retry, 2 a job that Kommo refused, maybe for its account's sake
    delivery_rank     INTEGER AS (CASE WHEN failures > 0 THEN 1 WHEN refused_at IS NOT NULL THEN 2 ELSE 0 END) VIRTUAL,
    -- 1: a continue may have arrived though its answer did not
    answer_lost       INTEGER NOT NULL DEFAULT 0 CHECK (answer_lost IN (0, 1)),
    -- 1: a continue was sent, or may have been, whatever came of it: the next one is a repeated one
    tried             INTEGER NOT NULL DEFAULT 0 CHECK (tried IN (0, 1)),
    -- a job that came later with the same return_url: a repeated continue of this one would answer that one's question.
    -- NULL if there is none, or if an operator sends this one all the same
    superseded_by     BLOB    CHECK (length(superseded_by) = 16),
    -- who made the completion
    outcome           TEXT    CHECK (outcome IN ('handler', 'fallback')),
    -- why it is the fallback
    fallback_reason   TEXT
        CHECK (fallback_reason IN ('failed', 'max_attempts', 'answer_within', 'overdue', 'crashed', 'no_handler',
            'invalid_completion', 'refused', 'operator')),
    -- what went wrong last, for a person
    last_error        TEXT,
    finished_at       INTEGER,
    -- the same moment by the service time
    finished_service_at INTEGER,
    -- The bodies, JSON. They come last, so that nothing else of a row lies behind their pages: a list reads none of them.
    -- All are NULL where they were dropped to make room (budget.stored, store.body_retention).
    -- what the widget sent
    data              TEXT,
    -- the body of the continue
    completion        TEXT,
    -- what the handler returned, where the fallback took its place: after Kommo refused it, or because an operator chose so
    handler_completion TEXT,

    CHECK ((entity_type IS NULL) = (entity_id IS NULL)),
    CHECK (data IS NOT NULL OR state IN ('delivered', 'cancelled')),
    CHECK (data IS NOT NULL OR completion IS NULL),
    CHECK ((completion IS NULL) = (outcome IS NULL) OR data IS NULL),
    CHECK (handler_completion IS NULL OR (outcome IS 'fallback' AND completion IS NOT NULL)),
    CHECK ((outcome IS 'fallback') = (fallback_reason IS NOT NULL)),
    CHECK ((failures = 0) = (failing_since IS NULL)),
    CHECK (refused_at IS NULL OR completion IS NOT NULL OR data IS NULL),
    CHECK ((finished_at IS NOT NULL) = (state IN ('delivered', 'gone', 'dead', 'cancelled'))),
    CHECK ((finished_service_at IS NOT NULL) = (finished_at IS NOT NULL)),
    CHECK ((due_at IS NOT NULL) = (state IN ('queued', 'delivering'))),
    CHECK (lease_until IS NULL OR state IN ('running', 'delivering')),
    CHECK (lease_until IS NOT NULL OR state <> 'running'),
    CHECK (outcome IS NULL OR state NOT IN ('queued', 'running')),
    CHECK (outcome IS NOT NULL OR state NOT IN ('delivering', 'delivered', 'gone', 'dead'))
) STRICT, WITHOUT ROWID;

-- What a worker claims next.
CREATE INDEX jobs_queued ON jobs (handler, due_at, answer_by) WHERE state = 'queued';
-- What waited too long for a worker.
CREATE INDEX jobs_overdue ON jobs (answer_by) WHERE state = 'queued';
-- How long the oldest of them has waited.
CREATE INDEX jobs_oldest ON jobs (waiting_since) WHERE state = 'queued';
-- What the sender claims next: in each lane each rank apart, the longest due first.
CREATE INDEX jobs_undelivered ON jobs (origin, delivery_rank, due_at, waiting_since)
    WHERE state = 'delivering' AND lease_until IS NULL;
-- What goes before that: the young ones of each rank, the oldest first.
CREATE INDEX jobs_young ON jobs (origin, delivery_rank, waiting_since, due_at)
    WHERE state = 'delivering' AND lease_until IS NULL;
-- An account's jobs that wait for a worker or for the sender. A job that waits for neither never gets into it.
CREATE INDEX jobs_waiting ON jobs (account_id) WHERE due_at IS NOT NULL AND lease_until IS NULL;
-- What is under way: freed at start, or when a lease runs out.
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE lease_until IS NOT NULL;
-- The older jobs that a new one supersedes: the last unfinished one of each return_url. It holds unfinished jobs alone, so
-- it stays small, and the jobs of one commit share its pages.
CREATE INDEX jobs_superseded ON jobs (return_url) WHERE finished_at IS NULL AND superseded_by IS NULL;
-- The same of the jobs that an operator may retry. A new job only reads it.
CREATE INDEX jobs_superseded_ended ON jobs (return_url) WHERE state IN ('dead', 'gone') AND superseded_by IS NULL;
-- What the retention deletes, and whose bodies are dropped, oldest first. The calendar's moment is in it, so that what only
-- one of the clocks calls too old is passed over without a look at its row.
CREATE INDEX jobs_finished ON jobs (finished_service_at, finished_at) WHERE finished_service_at IS NOT NULL;
-- What a person looks for.
CREATE INDEX jobs_dead ON jobs (id) WHERE state = 'dead';
CREATE INDEX jobs_fallback ON jobs (id) WHERE outcome = 'fallback';

CREATE TABLE attempts (
    job_id      BLOB    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    -- which of the two kinds
    stage       TEXT    NOT NULL CHECK (stage IN ('handler', 'delivery')),
    -- from 1, within its stage
    number      INTEGER NOT NULL CHECK (number >= 1),
    started_at  INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL CHECK (duration_ms >= 0),
    result      TEXT    NOT NULL CHECK (result IN ('ok', 'retry', 'fail', 'timeout', 'panic', 'gone')),
    -- Kommo's HTTP status, if it answered
    status      INTEGER CHECK (status BETWEEN 100 AND 999),
    -- what went wrong, for a person
    error       TEXT,
    PRIMARY KEY (job_id, stage, number)
) STRICT, WITHOUT ROWID;

-- Which requests are known, together with recent_keys. A key matters only while its token is valid, so this table stays small
-- however many jobs there are.
CREATE TABLE idempotency_keys (
    account_id INTEGER NOT NULL,
    -- the token's jti
    key        TEXT    NOT NULL,
    job_id     BLOB    NOT NULL CHECK (length(job_id) = 16),
    -- from then on the token is refused
    expires_at INTEGER NOT NULL,
    -- the same moment by the service time, as it looked when the request came in; the key is forgotten after both
    expires_service_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, key)
) STRICT, WITHOUT ROWID;

-- The keys that came in last, in the order in which they came. The keeper moves them into idempotency_keys, many at
-- a time: keys are random, and one by one each would change a page of its own there.
CREATE TABLE recent_keys (
    -- rises; of those that are moved, the highest is remembered
    id         INTEGER NOT NULL PRIMARY KEY,
    -- as in idempotency_keys
    account_id INTEGER NOT NULL,
    key        TEXT    NOT NULL,
    job_id     BLOB    NOT NULL CHECK (length(job_id) = 16),
    expires_at INTEGER NOT NULL,
    expires_service_at INTEGER NOT NULL
) STRICT;

CREATE INDEX idempotency_keys_expired ON idempotency_keys (expires_service_at, expires_at);

-- How many jobs are in each state, kept by each transaction that moves one: counting millions of rows
-- whenever somebody looks would cost more than all the rest.
CREATE TABLE job_counts (
    state TEXT    NOT NULL PRIMARY KEY,
    jobs  INTEGER NOT NULL CHECK (jobs >= 0)
) STRICT, WITHOUT ROWID;

INSERT INTO job_counts (state, jobs)
VALUES ('queued', 0), ('running', 0), ('delivering', 0), ('delivered', 0), ('gone', 0), ('dead', 0), ('cancelled', 0);

-- How many bytes the bodies of each account's jobs take, kept by each transaction that changes it: what an account may still
-- send is known at start without a look at its jobs. A row stays when its account has no jobs left. No CHECK: a change is
-- written as a row that is added to the one that is there, and it may be negative.
CREATE TABLE account_bytes (
    -- Kommo's number of the account
    account_id INTEGER NOT NULL PRIMARY KEY,
    -- data and completions of jobs that are not finished: budget.unfinished
    unfinished INTEGER NOT NULL,
    -- data and completions of all jobs: budget.stored
    stored     INTEGER NOT NULL
) STRICT;

-- For how long bridges have served this store, and by which clocks; written once a minute, and when a bridge ends.
CREATE TABLE service (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    -- the service time in milliseconds; time while no bridge runs does not count
    service_at  INTEGER NOT NULL CHECK (service_at >= 0),
    -- the same moment by the steady clock of the bridge, and by the calendar; NULL until a bridge has served the store
    steady_at   INTEGER,
    calendar_at INTEGER,
    CHECK ((steady_at IS NULL) = (calendar_at IS NULL))
) STRICT;

INSERT INTO service (id, service_at) VALUES (1, 0);

-- What the bridge writes to find out whether it can: a full disk often has room left for a page, but none
-- for a request, and whoever asks whether the bridge is ready wants to know about requests.
CREATE TABLE probe (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    -- other bytes at each probe, as many as a large request needs
    filler BLOB    NOT NULL CHECK (length(filler) = 65536)
) STRICT;

INSERT INTO probe (id, filler) VALUES (1, zeroblob(65536));
