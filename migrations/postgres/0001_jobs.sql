-- Jobs, their bodies and attempts, and the idempotency keys of tokens that are still valid.
--
-- Times are milliseconds since 1970, UTC. Ids are UUIDv7, so rows of the same time are adjacent.
--
-- The times belong to three clocks. Times for people (received_at, started_at, finished_at) and times from tokens
-- (expires_at) follow the calendar. Schedules (waiting_since, answer_by, due_at, lease_until, failing_since, refused_at)
-- follow the steady clock of the process that serves the store: the calendar at the start of that process plus elapsed
-- time. Each start moves these columns of unfinished and dead jobs to its own clock. Rows that are deleted by age have a
-- second time by the service time (…_service_at): the milliseconds for which bridges have served this store.
--
-- Every number is a bigint, so that the program reads and binds one type. Text in an index has the collation "C": the
-- order of other collations changes with the operating system, which damages their indexes.
--
-- The tables that grow with the jobs have a partition for each day (UTC) of the job's receipt, which is the time in its
-- id. The program creates them seven days ahead, and drops those of past days once the retention has emptied them, which gives
-- the disk space back. The default
-- partitions take what belongs to no other day, for example after someone set the clock wrong.

-- What this store is. A program may open it if it knows at least the migration compatible_from.
CREATE TABLE store (
    id              bigint PRIMARY KEY CHECK (id = 1),
    -- the newest migration of this store
    version         bigint NOT NULL CHECK (version >= 1),
    -- the oldest program that may open it, by the newest migration that it knows
    compatible_from bigint NOT NULL CHECK (compatible_from BETWEEN 1 AND version),
    -- random, made with the store: after a reconnect, another value means that the address leads to another store
    nonce           uuid   NOT NULL DEFAULT gen_random_uuid()
);

INSERT INTO store (id, version, compatible_from) VALUES (1, 1, 1);

-- The process that serves the store.
CREATE TABLE owner (
    id    bigint PRIMARY KEY CHECK (id = 1),
    -- grows with each owner. Each transaction of an owner reads it under a lock and fails if it is not its own, so a former
    -- owner that has lost its connection changes nothing
    epoch bigint NOT NULL CHECK (epoch >= 0)
);

INSERT INTO owner (id, epoch) VALUES (1, 0);

-- A job changes several times before it ends. The indexes contain only columns that do not change until then, so that
-- PostgreSQL updates no index for these changes (a HOT update). For this reason nothing here indexes due_at or the state:
-- the owner of the store keeps the schedule of the unfinished jobs in memory.
CREATE TABLE jobs (
    -- identity and order of receipt
    id                uuid    NOT NULL PRIMARY KEY,
    state             text    COLLATE "C" NOT NULL
        CHECK (state IN ('queued', 'running', 'awaiting_callback', 'delivering', 'delivered', 'gone', 'dead', 'cancelled')),
    -- name of the handler
    handler           text    COLLATE "C" NOT NULL CHECK (length(handler) BETWEEN 1 AND 64),
    -- Kommo's number of the account
    account_id        bigint  NOT NULL,
    -- scheme, host and port of return_url; the lane in which its delivery is paced
    origin            text    COLLATE "C" NOT NULL,
    -- where the continue is posted; Kommo reuses it, so it is not unique
    return_url        text    COLLATE "C" NOT NULL,
    -- Kommo's type code and number of the entity that the bot talks about, if the token names it
    entity_type       bigint,
    entity_id         bigint,
    -- when the request arrived
    received_at       bigint  NOT NULL,
    -- the same moment by the steady clock; the customer's wait counts from here
    waiting_since     bigint  NOT NULL,
    -- the time from which the fallback goes out
    answer_by         bigint  NOT NULL,
    -- the job must not be claimed before; set while the job waits for something
    due_at            bigint,
    -- its place in the line of its conversation (handler, account, entity): the job with the lowest one runs, and the
    -- others wait until it is answered. NULL if the handler's jobs are not ordered, or once the job is answered
    turn              bigint  CHECK (turn >= 1),
    -- how long the job waits for further messages of its conversation, in milliseconds; NULL if it does not, or once it
    -- has joined them
    coalesce_ms       bigint  CHECK (coalesce_ms >= 1),
    -- set while the job is claimed; the claim is void after this moment
    lease_until       bigint,
    -- grows with each claim; a write with an older number changes nothing
    fence             bigint  NOT NULL DEFAULT 0,
    -- how many times in a row the process died while the handler ran
    crashes           bigint  NOT NULL DEFAULT 0 CHECK (crashes >= 0),
    -- charged attempts
    handler_attempts  bigint  NOT NULL DEFAULT 0 CHECK (handler_attempts >= 0),
    delivery_attempts bigint  NOT NULL DEFAULT 0 CHECK (delivery_attempts >= 0),
    -- consecutive failures of the delivery (the exponent of the backoff), and the time of the first of them
    failures          bigint  NOT NULL DEFAULT 0 CHECK (failures >= 0),
    failing_since     bigint,
    -- when Kommo last refused this job because of its account (401, 402, 403); NULL if Kommo has not refused the
    -- current completion in this way. If this is not before failing_since, Kommo refuses the job itself and not its
    -- account
    refused_at        bigint,
    -- a continue may have arrived, but its response did not
    answer_lost       boolean NOT NULL DEFAULT false,
    -- a continue was sent, or may have been, with any result: the next one is a repetition
    tried             boolean NOT NULL DEFAULT false,
    -- a later job with the same return_url; a repeated continue of this job would answer that job's question.
    -- NULL if there is none, or if an operator forces the retry
    superseded_by     uuid,
    -- the later job of the same conversation that answers for this one too (handlers.NAME.coalesce)
    joined_into       uuid,
    -- the source of the completion
    outcome           text    CHECK (outcome IN ('handler', 'fallback')),
    -- why the completion is the fallback
    fallback_reason   text
        CHECK (fallback_reason IN ('failed', 'max_attempts', 'answer_within', 'overdue', 'crashed', 'no_callback', 'no_handler',
            'invalid_completion', 'refused', 'operator')),
    -- the last error, for people
    last_error        text,
    -- the group of the last error that counts as a failure (error_groups); NULL if there is none. The group may be gone
    error_group       bigint,
    -- the attempt of the handler that gave the completion without an error: its start and duration. It is the last one, so
    -- its number is handler_attempts
    handled_at        bigint,
    handled_ms        bigint  CHECK (handled_ms >= 0),
    -- the attempt whose continue Kommo accepted without an error, in the same way, and Kommo's HTTP status
    accepted_at       bigint,
    accepted_ms       bigint  CHECK (accepted_ms >= 0),
    accepted_status   bigint  CHECK (accepted_status BETWEEN 100 AND 999),
    finished_at       bigint,
    -- the same moment by the service time
    finished_service_at bigint,
    -- the sum of the lengths of its bodies (job_bodies), in bytes
    body_bytes        bigint  NOT NULL CHECK (body_bytes >= 0),
    -- its bodies were dropped to make room (budget.stored, store.body_retention), or erased by an operator
    bodies_dropped    boolean NOT NULL DEFAULT false,
    -- the state once the job is finished, and NULL until then: unlike the state, it changes once
    ended             text    COLLATE "C"
        GENERATED ALWAYS AS (CASE WHEN finished_at IS NULL THEN NULL ELSE state END) STORED,
    -- true if the completion is the fallback, else NULL
    fell_back         boolean GENERATED ALWAYS AS (NULLIF(outcome = 'fallback', false)) STORED,

    CHECK ((entity_type IS NULL) = (entity_id IS NULL)),
    CHECK (bodies_dropped = (body_bytes = 0)),
    CHECK (NOT bodies_dropped OR finished_at IS NOT NULL),
    CHECK ((outcome IS NOT DISTINCT FROM 'fallback') = (fallback_reason IS NOT NULL)),
    CHECK ((failures = 0) = (failing_since IS NULL)),
    CHECK (refused_at IS NULL OR outcome IS NOT NULL OR bodies_dropped),
    CHECK ((finished_at IS NULL) = (state IN ('queued', 'running', 'awaiting_callback', 'delivering'))),
    CHECK ((finished_service_at IS NOT NULL) = (finished_at IS NOT NULL)),
    CHECK (due_at IS NULL OR state IN ('queued', 'delivering')),
    -- A job without a due time waits for its turn.
    CHECK (due_at IS NOT NULL OR state NOT IN ('queued', 'delivering') OR (state = 'queued' AND turn IS NOT NULL)),
    CHECK (turn IS NULL OR state IN ('queued', 'running', 'awaiting_callback')),
    CHECK (turn IS NULL OR entity_id IS NOT NULL),
    CHECK (coalesce_ms IS NULL OR turn IS NOT NULL),
    CHECK (joined_into IS NULL OR outcome IS NOT NULL),
    CHECK (lease_until IS NULL OR state IN ('running', 'delivering')),
    CHECK (lease_until IS NOT NULL OR state <> 'running'),
    CHECK (outcome IS NULL OR state NOT IN ('queued', 'running', 'awaiting_callback')),
    CHECK (outcome IS NOT NULL OR state IN ('queued', 'running', 'awaiting_callback', 'cancelled')),
    CHECK ((handled_at IS NULL) = (handled_ms IS NULL)),
    CHECK (handled_at IS NULL OR (handler_attempts > 0 AND outcome IS NOT NULL)),
    CHECK ((accepted_at IS NULL) = (accepted_ms IS NULL)),
    CHECK (accepted_at IS NULL OR (delivery_attempts > 0 AND state = 'delivered')),
    CHECK (accepted_status IS NULL OR accepted_at IS NOT NULL)
) PARTITION BY RANGE (id);

-- The unfinished jobs: all of them at a start and for lists, and those of a return_url that a new job supersedes. A hash,
-- because an address may be long.
CREATE INDEX jobs_unfinished ON jobs (hashtextextended(return_url, 0)) WHERE ended IS NULL;
-- The same for the jobs that an operator may retry. A new job only reads it.
CREATE INDEX jobs_superseded_ended ON jobs (hashtextextended(return_url, 0))
    WHERE ended IN ('dead', 'gone') AND superseded_by IS NULL;
-- The line of each conversation.
CREATE INDEX jobs_turns ON jobs (handler, account_id, entity_type, entity_id, turn) WHERE turn IS NOT NULL;
-- The jobs that people search for.
CREATE INDEX jobs_ended ON jobs (ended, id) WHERE ended IS NOT NULL AND ended <> 'delivered';
CREATE INDEX jobs_fallback ON jobs (id) WHERE fell_back;
-- The jobs that the retention deletes, and that lose their bodies, in the order in which they ended. New entries go to the end,
-- so a finished job costs little here. A retried dead job leaves the index.
CREATE INDEX jobs_finished ON jobs (finished_service_at) WHERE finished_service_at IS NOT NULL;

-- A third of each page stays free, so that the next versions of a row fit beside it.
CREATE TABLE jobs_default PARTITION OF jobs DEFAULT WITH (fillfactor = 70);

-- The bodies, as JSON, byte for byte. A list reads none of them. On the normal path rows are inserted and never changed.
CREATE TABLE job_bodies (
    -- the job
    id   uuid     NOT NULL,
    -- 0: what the widget sent. 1: the data of the earlier jobs that were joined into this one, oldest first, as a JSON
    -- array. 2: the body of the continue. 3: the handler's completion, if the fallback replaced it after Kommo refused it
    -- or because an operator chose so
    kind smallint NOT NULL CHECK (kind BETWEEN 0 AND 3),
    body text     NOT NULL CHECK (length(body) >= 1),
    PRIMARY KEY (id, kind)
) PARTITION BY RANGE (id);

CREATE TABLE job_bodies_default PARTITION OF job_bodies DEFAULT;

-- The charged attempts, except for the two of each job that succeed without an error: those are in its row, because most
-- jobs have no others. The view `attempts` shows all of them.
CREATE TABLE other_attempts (
    job_id      uuid   NOT NULL,
    -- the kind of attempt
    stage       text   COLLATE "C" NOT NULL CHECK (stage IN ('handler', 'delivery')),
    -- from 1, within its stage
    number      bigint NOT NULL CHECK (number >= 1),
    started_at  bigint NOT NULL,
    duration_ms bigint NOT NULL CHECK (duration_ms >= 0),
    result      text   NOT NULL CHECK (result IN ('ok', 'retry', 'fail', 'timeout', 'panic', 'gone', 'accepted')),
    -- Kommo's HTTP status, if it answered
    status      bigint CHECK (status BETWEEN 100 AND 999),
    -- the error, for people
    error       text,
    PRIMARY KEY (job_id, stage, number)
) PARTITION BY RANGE (job_id);

CREATE TABLE other_attempts_default PARTITION OF other_attempts DEFAULT;

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
    job_id   uuid   NOT NULL,
    -- from 1; a job keeps its first notes
    number   bigint NOT NULL CHECK (number BETWEEN 1 AND 100),
    noted_at bigint NOT NULL,
    note     text   NOT NULL CHECK (length(note) BETWEEN 1 AND 500),
    PRIMARY KEY (job_id, number)
) PARTITION BY RANGE (job_id);

CREATE TABLE notes_default PARTITION OF notes DEFAULT;

-- The jobs that another process than the owner changed: an operator's command. The owner reads these rows each second,
-- loads the jobs into its schedule, and deletes the rows. It reads all of them, because a row with a smaller id may be
-- committed later.
CREATE TABLE outside_changes (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id uuid   NOT NULL
);

-- The key from which the tokens of callbacks are derived. Made once, at random.
CREATE TABLE callback_key (
    id     bigint PRIMARY KEY CHECK (id = 1),
    -- the key; encrypted if key_id is set
    key    bytea  NOT NULL CHECK (key_id IS NOT NULL OR length(key) = 32),
    -- the id of the encryption key
    key_id text
);

-- The known requests. A key matters only while its token is valid, so this table stays small however many jobs there are.
-- Its partitions are days of expiry, not of receipt.
CREATE TABLE idempotency_keys (
    -- the hour in which the token expires, since 1970. It follows from the token alone, so two processes that receive the
    -- same request always write the same row
    bucket     bigint NOT NULL,
    account_id bigint NOT NULL,
    -- the token's jti
    key        text   COLLATE "C" NOT NULL,
    job_id     uuid   NOT NULL,
    -- when the token expires
    expires_at bigint NOT NULL,
    -- the same moment by the service time, as estimated when the request arrived; the key is deleted after both
    expires_service_at bigint NOT NULL,
    PRIMARY KEY (bucket, account_id, key)
) PARTITION BY RANGE (bucket);

CREATE TABLE idempotency_keys_default PARTITION OF idempotency_keys DEFAULT;

-- The number of jobs in each state, updated by each transaction that moves a job: counting millions of rows on demand
-- would cost more than everything else.
CREATE TABLE job_counts (
    state text   COLLATE "C" NOT NULL PRIMARY KEY,
    jobs  bigint NOT NULL CHECK (jobs >= 0)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

INSERT INTO job_counts (state, jobs)
VALUES ('queued', 0), ('running', 0), ('awaiting_callback', 0), ('delivering', 0), ('delivered', 0), ('gone', 0), ('dead', 0), ('cancelled', 0);

-- The bytes that the bodies of each account's jobs take, updated by each transaction that changes them. So a start knows
-- what an account may still send without reading its jobs. A row stays when its account has no jobs left. There is no
-- CHECK, because a change is inserted as a row that is added to the existing one, and it may be negative.
CREATE TABLE account_bytes (
    -- Kommo's number of the account
    account_id bigint NOT NULL PRIMARY KEY,
    -- data and completions of jobs that are not finished: budget.unfinished
    unfinished bigint NOT NULL,
    -- data and completions of all jobs: budget.stored
    stored     bigint NOT NULL
) WITH (fillfactor = 30, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- How long bridges have served this store, and by which clocks. Written once a minute, and when a bridge ends.
CREATE TABLE service (
    id          bigint PRIMARY KEY CHECK (id = 1),
    -- the service time in milliseconds; time while no bridge runs does not count
    service_at  bigint NOT NULL CHECK (service_at >= 0),
    -- the same moment by the steady clock of the bridge, and by the calendar; NULL until a bridge has served the store
    steady_at   bigint,
    calendar_at bigint,
    CHECK ((steady_at IS NULL) = (calendar_at IS NULL))
);

INSERT INTO service (id, service_at) VALUES (1, 0);

-- The row that the bridge writes to test whether it can write: a full disk often has room for a page but not for a
-- request, and a readiness check is about requests.
CREATE TABLE probe (
    id     bigint PRIMARY KEY CHECK (id = 1),
    -- different bytes at each probe, as many as a large request needs
    filler bytea  NOT NULL CHECK (length(filler) = 65536)
) WITH (toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 1000);

-- Not compressed, so that a probe writes as many bytes as a request.
ALTER TABLE probe ALTER COLUMN filler SET STORAGE EXTERNAL;

INSERT INTO probe (id, filler) VALUES (1, decode(repeat('00', 65536), 'hex'));
