-- Jobs, their attempts, and the idempotency keys of tokens that are still valid.
--
-- Times are milliseconds since 1970, UTC. Ids are UUIDv7 as 16 bytes, so rows of the same time are adjacent.
--
-- The times belong to three clocks. Times for people (received_at, started_at, finished_at) and times from tokens
-- (expires_at) follow the calendar. Schedules (waiting_since, answer_by, due_at, lease_until, failing_since, refused_at)
-- follow the steady clock of the process that serves the store: the calendar at the start of that process plus elapsed
-- time. Each start moves these columns of unfinished and dead jobs to its own clock. Rows that are deleted by age have a
-- second time by the service time (…_service_at): the milliseconds for which bridges have served this store.
-- The CHECKs refuse the states that the types of the program refuse. They compare one value at a time, the most frequent
-- ones first: for `IN` with more than two values, SQLite builds a temporary table each time it writes a row.

-- "SBBG" distinguishes a store of this program from any other database.
PRAGMA application_id = 1396851271;

CREATE TABLE jobs (
    -- identity and order of receipt
    id                BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    state             TEXT    NOT NULL
        CHECK (state = 'running' OR state = 'delivering' OR state = 'delivered' OR state = 'queued'
            OR state = 'awaiting_callback' OR state = 'gone' OR state = 'dead' OR state = 'cancelled'),
    -- name of the handler
    handler           TEXT    NOT NULL CHECK (length(handler) BETWEEN 1 AND 64),
    -- Kommo's number of the account
    account_id        INTEGER NOT NULL,
    -- scheme, host and port of return_url; the lane in which its delivery is paced
    origin            TEXT    NOT NULL,
    -- where the continue is posted; Kommo reuses it, so it is not unique
    return_url        TEXT    NOT NULL,
    -- Kommo's type code and number of the entity that the bot talks about, if the token names it
    entity_type       INTEGER,
    entity_id         INTEGER,
    -- when the request arrived
    received_at       INTEGER NOT NULL,
    -- the same moment by the steady clock; the customer's wait counts from here
    waiting_since     INTEGER NOT NULL,
    -- the time from which the fallback goes out
    answer_by         INTEGER NOT NULL,
    -- the job must not be claimed before; set while the job waits for something
    due_at            INTEGER,
    -- its place in the line of its conversation (handler, account, entity): the job with the lowest one runs, and the
    -- others wait until it is answered. NULL if the handler's jobs are not ordered, or once the job is answered
    turn              INTEGER CHECK (turn >= 1),
    -- how long the job waits for further messages of its conversation, in milliseconds; NULL if it does not, or once it
    -- has joined them
    coalesce_ms       INTEGER CHECK (coalesce_ms >= 1),
    -- set while the job is claimed; the claim is void after this moment
    lease_until       INTEGER,
    -- grows with each claim; a write with an older number changes nothing
    fence             INTEGER NOT NULL DEFAULT 0,
    -- how many times in a row the process died while the handler ran
    crashes           INTEGER NOT NULL DEFAULT 0 CHECK (crashes >= 0),
    -- charged attempts
    handler_attempts  INTEGER NOT NULL DEFAULT 0 CHECK (handler_attempts >= 0),
    delivery_attempts INTEGER NOT NULL DEFAULT 0 CHECK (delivery_attempts >= 0),
    -- consecutive failures of the delivery (the exponent of the backoff), and the time of the first of them
    failures          INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    failing_since     INTEGER,
    -- when Kommo last refused this job because of its account (401, 402, 403); NULL if Kommo has not refused the
    -- current completion in this way. If this is not before failing_since, Kommo refuses the job itself and not its
    -- account
    refused_at        INTEGER,
    -- which deliveries go first: 0 is a first try, 1 a retry, 2 a job that Kommo refused, perhaps because of its account
    delivery_rank     INTEGER AS (CASE WHEN failures > 0 THEN 1 WHEN refused_at IS NOT NULL THEN 2 ELSE 0 END) VIRTUAL,
    -- 1: a continue may have arrived, but its response did not
    answer_lost       INTEGER NOT NULL DEFAULT 0 CHECK (answer_lost IN (0, 1)),
    -- 1: a continue was sent, or may have been, with any result: the next one is a repetition
    tried             INTEGER NOT NULL DEFAULT 0 CHECK (tried IN (0, 1)),
    -- a later job with the same return_url; a repeated continue of this job would answer that job's question.
    -- NULL if there is none, or if an operator forces the retry
    superseded_by     BLOB    CHECK (length(superseded_by) = 16),
    -- the later job of the same conversation that answers for this one too (handlers.NAME.coalesce)
    joined_into       BLOB    CHECK (length(joined_into) = 16),
    -- the source of the completion
    outcome           TEXT    CHECK (outcome IN ('handler', 'fallback')),
    -- why the completion is the fallback
    fallback_reason   TEXT
        CHECK (fallback_reason IS NULL OR fallback_reason = 'failed' OR fallback_reason = 'max_attempts'
            OR fallback_reason = 'answer_within' OR fallback_reason = 'overdue' OR fallback_reason = 'crashed'
            OR fallback_reason = 'no_callback' OR fallback_reason = 'no_handler' OR fallback_reason = 'invalid_completion' OR fallback_reason = 'refused'
            OR fallback_reason = 'operator'),
    -- the last error, for people
    last_error        TEXT,
    -- the group of the last error that counts as a failure (error_groups); NULL if there is none. The group may be gone
    error_group       INTEGER,
    -- the attempt of the handler that gave the completion without an error: its start and duration. It is the last one, so
    -- its number is handler_attempts
    handled_at        INTEGER,
    handled_ms        INTEGER CHECK (handled_ms >= 0),
    -- the attempt whose continue Kommo accepted without an error, in the same way, and Kommo's HTTP status
    accepted_at       INTEGER,
    accepted_ms       INTEGER CHECK (accepted_ms >= 0),
    accepted_status   INTEGER CHECK (accepted_status BETWEEN 100 AND 999),
    finished_at       INTEGER,
    -- the same moment by the service time
    finished_service_at INTEGER,
    -- The bodies, as JSON. They come last, so that no other column lies behind their pages: a list reads none of them.
    -- All are NULL if they were dropped to make room (budget.stored, store.body_retention), or erased by an operator.
    -- what the widget sent
    data              TEXT,
    -- the data of the earlier jobs that were joined into this one, oldest first, as a JSON array; NULL if there are none
    earlier_data      TEXT,
    -- the body of the continue
    completion        TEXT,
    -- the handler's completion, if the fallback replaced it after Kommo refused it or because an operator chose so
    handler_completion TEXT,

    CHECK ((entity_type IS NULL) = (entity_id IS NULL)),
    CHECK (data IS NOT NULL OR finished_at IS NOT NULL),
    CHECK (data IS NOT NULL OR (completion IS NULL AND earlier_data IS NULL)),
    CHECK ((completion IS NULL) = (outcome IS NULL) OR data IS NULL),
    CHECK (handler_completion IS NULL OR (outcome IS 'fallback' AND completion IS NOT NULL)),
    CHECK ((outcome IS 'fallback') = (fallback_reason IS NOT NULL)),
    CHECK ((failures = 0) = (failing_since IS NULL)),
    CHECK (refused_at IS NULL OR completion IS NOT NULL OR data IS NULL),
    CHECK ((finished_at IS NULL)
        = (state = 'running' OR state = 'delivering' OR state = 'queued' OR state = 'awaiting_callback')),
    CHECK ((finished_service_at IS NOT NULL) = (finished_at IS NOT NULL)),
    CHECK (due_at IS NULL OR state = 'queued' OR state = 'delivering'),
    -- A job without a due time waits for its turn.
    CHECK (due_at IS NOT NULL OR (state <> 'queued' AND state <> 'delivering') OR (state = 'queued' AND turn IS NOT NULL)),
    CHECK (turn IS NULL OR state = 'running' OR state = 'queued' OR state = 'awaiting_callback'),
    CHECK (turn IS NULL OR entity_id IS NOT NULL),
    CHECK (coalesce_ms IS NULL OR turn IS NOT NULL),
    CHECK (joined_into IS NULL OR outcome IS NOT NULL),
    CHECK (lease_until IS NULL OR state IN ('running', 'delivering')),
    CHECK (lease_until IS NOT NULL OR state <> 'running'),
    CHECK (outcome IS NULL OR (state <> 'queued' AND state <> 'running' AND state <> 'awaiting_callback')),
    CHECK (outcome IS NOT NULL OR state = 'running' OR state = 'queued' OR state = 'awaiting_callback'
        OR state = 'cancelled'),
    CHECK ((handled_at IS NULL) = (handled_ms IS NULL)),
    CHECK (handled_at IS NULL OR (handler_attempts > 0 AND outcome IS NOT NULL)),
    CHECK ((accepted_at IS NULL) = (accepted_ms IS NULL)),
    CHECK (accepted_at IS NULL OR (delivery_attempts > 0 AND state = 'delivered')),
    CHECK (accepted_status IS NULL OR accepted_at IS NOT NULL)
) STRICT, WITHOUT ROWID;

-- The jobs that workers claim next.
CREATE INDEX jobs_queued ON jobs (handler, due_at, answer_by) WHERE state = 'queued';
-- The jobs that waited too long for a worker. It also answers how long the oldest one has waited, which reads all of it.
CREATE INDEX jobs_overdue ON jobs (answer_by, waiting_since, due_at) WHERE state = 'queued';
-- The line of each conversation.
CREATE INDEX jobs_turns ON jobs (handler, account_id, entity_type, entity_id, turn) WHERE turn IS NOT NULL;
-- The jobs whose handler will call back: those whose time is over next, and how many each handler has.
CREATE INDEX jobs_awaiting ON jobs (answer_by, handler) WHERE state = 'awaiting_callback';
-- The jobs that the sender claims next: by lane and rank, those due longest first. The last column is part of the
-- condition: without it, SQLite would read the row of each entry that it only counts.
CREATE INDEX jobs_undelivered ON jobs (origin, delivery_rank, due_at, waiting_since, lease_until)
    WHERE state = 'delivering' AND lease_until IS NULL;
-- The young first tries precede those, the oldest first. Retries are not in this index: they are most of the work in an
-- outage.
CREATE INDEX jobs_young ON jobs (origin, waiting_since, due_at)
    WHERE state = 'delivering' AND lease_until IS NULL AND delivery_rank = 0;
-- The jobs under way: freed at start, or when a lease expires.
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE lease_until IS NOT NULL;
-- The older jobs that a new one supersedes: the last unfinished job of each return_url. The index contains unfinished
-- jobs only, so it stays small, and the jobs of one commit share its pages.
CREATE INDEX jobs_superseded ON jobs (return_url) WHERE finished_at IS NULL AND superseded_by IS NULL;
-- The same for the jobs that an operator may retry. A new job only reads it.
CREATE INDEX jobs_superseded_ended ON jobs (return_url) WHERE state IN ('dead', 'gone') AND superseded_by IS NULL;
-- The jobs that the retention deletes, and that lose their bodies, oldest first. The index includes the calendar's time,
-- so that jobs that only one of the clocks considers too old are skipped without reading their rows.
CREATE INDEX jobs_finished ON jobs (finished_service_at, finished_at) WHERE finished_service_at IS NOT NULL;
-- The jobs that people search for.
CREATE INDEX jobs_dead ON jobs (id) WHERE state = 'dead';
CREATE INDEX jobs_ended ON jobs (state, id) WHERE state = 'gone' OR state = 'cancelled';
CREATE INDEX jobs_fallback ON jobs (id) WHERE outcome = 'fallback';

-- The charged attempts, except for the two of each job that succeed without an error: those are in its row, because most
-- jobs have no others. The view `attempts` shows all of them.
CREATE TABLE other_attempts (
    job_id      BLOB    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    -- the kind of attempt
    stage       TEXT    NOT NULL CHECK (stage IN ('handler', 'delivery')),
    -- from 1, within its stage
    number      INTEGER NOT NULL CHECK (number >= 1),
    started_at  INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL CHECK (duration_ms >= 0),
    result      TEXT    NOT NULL
        CHECK (result = 'ok' OR result = 'retry' OR result = 'fail' OR result = 'timeout' OR result = 'panic'
            OR result = 'gone' OR result = 'accepted'),
    -- Kommo's HTTP status, if it answered
    status      INTEGER CHECK (status BETWEEN 100 AND 999),
    -- the error, for people
    error       TEXT,
    PRIMARY KEY (job_id, stage, number)
) STRICT, WITHOUT ROWID;

-- Every charged attempt, with the columns of other_attempts.
CREATE VIEW attempts AS
SELECT job_id, stage, number, started_at, duration_ms, result, status, error FROM other_attempts
UNION ALL
SELECT id, 'handler', handler_attempts, handled_at, handled_ms, 'ok', NULL, NULL FROM jobs WHERE handled_at IS NOT NULL
UNION ALL
SELECT id, 'delivery', delivery_attempts, accepted_at, accepted_ms, 'ok', accepted_status, NULL FROM jobs
WHERE accepted_at IS NOT NULL;

-- The notes on a job's time line: of its handler, of callbacks, and of the bridge. They may quote a customer, so they are
-- dropped with the bodies.
CREATE TABLE notes (
    job_id   BLOB    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    -- from 1; a job keeps its first notes
    number   INTEGER NOT NULL CHECK (number BETWEEN 1 AND 100),
    noted_at INTEGER NOT NULL,
    note     TEXT    NOT NULL CHECK (length(note) BETWEEN 1 AND 500),
    PRIMARY KEY (job_id, number)
) STRICT, WITHOUT ROWID;

-- The key from which the tokens of callbacks are derived. Made once, at random.
CREATE TABLE callback_key (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    -- the key; encrypted if key_id is set
    key    BLOB NOT NULL CHECK (key_id IS NOT NULL OR length(key) = 32),
    -- the id of the encryption key
    key_id TEXT
) STRICT;

-- The known requests, together with recent_keys. A key matters only while its token is valid, so this table stays small
-- however many jobs there are.
CREATE TABLE idempotency_keys (
    account_id INTEGER NOT NULL,
    -- the token's jti
    key        TEXT    NOT NULL,
    job_id     BLOB    NOT NULL CHECK (length(job_id) = 16),
    -- when the token expires
    expires_at INTEGER NOT NULL,
    -- the same moment by the service time, as estimated when the request arrived; the key is deleted after both
    expires_service_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, key)
) STRICT, WITHOUT ROWID;

-- The most recent keys, in order of arrival. Maintenance moves them into idempotency_keys in large groups: keys are
-- random, so if they were moved one by one, each would change a different page there.
CREATE TABLE recent_keys (
    -- ascending; maintenance remembers the highest one that it moves
    id         INTEGER NOT NULL PRIMARY KEY,
    -- as in idempotency_keys
    account_id INTEGER NOT NULL,
    key        TEXT    NOT NULL,
    job_id     BLOB    NOT NULL CHECK (length(job_id) = 16),
    expires_at INTEGER NOT NULL,
    expires_service_at INTEGER NOT NULL
) STRICT;

CREATE INDEX idempotency_keys_expired ON idempotency_keys (expires_service_at, expires_at);

-- The number of jobs in each state, updated by each transaction that moves a job: counting millions of rows on demand
-- would cost more than everything else.
CREATE TABLE job_counts (
    state TEXT    NOT NULL PRIMARY KEY,
    jobs  INTEGER NOT NULL CHECK (jobs >= 0)
) STRICT, WITHOUT ROWID;

INSERT INTO job_counts (state, jobs)
VALUES ('queued', 0), ('running', 0), ('awaiting_callback', 0), ('delivering', 0), ('delivered', 0), ('gone', 0), ('dead', 0), ('cancelled', 0);

-- The bytes that the bodies of each account's jobs take, updated by each transaction that changes them. So a start knows
-- what an account may still send without reading its jobs. A row stays when its account has no jobs left. There is no
-- CHECK, because a change is inserted as a row that is added to the existing one, and it may be negative.
CREATE TABLE account_bytes (
    -- Kommo's number of the account
    account_id INTEGER NOT NULL PRIMARY KEY,
    -- data and completions of jobs that are not finished: budget.unfinished
    unfinished INTEGER NOT NULL,
    -- data and completions of all jobs: budget.stored
    stored     INTEGER NOT NULL
) STRICT;

-- How long bridges have served this store, and by which clocks. Written once a minute, and when a bridge ends.
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

-- The row that the bridge writes to test whether it can write: a full disk often has room for a page but not for a
-- request, and a readiness check is about requests.
CREATE TABLE probe (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    -- different bytes at each probe, as many as a large request needs
    filler BLOB    NOT NULL CHECK (length(filler) = 65536)
) STRICT;

INSERT INTO probe (id, filler) VALUES (1, zeroblob(65536));
