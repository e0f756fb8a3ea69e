-- What operators do, and their changes of many jobs.
--
-- Times are milliseconds since 1970, UTC, by the calendar.

-- Actions: who changed what. A change and its row are written in one transaction. The newest 10,000 rows stay.
CREATE TABLE actions (
    -- ascending
    id     bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     bigint  NOT NULL,
    -- where it came from
    source text    NOT NULL CHECK (source IN ('api', 'page', 'cli')),
    -- who: the token's role, or the operating system's user of a command; never a token
    who    text    NOT NULL CHECK (length(who) BETWEEN 1 AND 100),
    -- the command that does the same, such as `jobs retry`
    what   text    NOT NULL CHECK (length(what) BETWEEN 1 AND 40),
    -- the job, if it is about one
    job_id uuid,
    -- the filter, the account, or the file, if it is not about one job
    target text    CHECK (length(target) BETWEEN 1 AND 1000),
    -- how many jobs it changed
    jobs   bigint  NOT NULL CHECK (jobs >= 0),
    -- how it ended; a bulk change that continues is `running`
    result text    NOT NULL CHECK (result IN ('done', 'running', 'stopped', 'failed'))
);

-- Bulk changes: of the jobs that match a filter, and erasures. They continue after a restart.
CREATE TABLE bulk_changes (
    -- its row in actions
    id        bigint  PRIMARY KEY REFERENCES actions (id) ON DELETE CASCADE,
    action    text    NOT NULL CHECK (action IN ('retry', 'cancel', 'erase')),
    -- which jobs, in the filter language
    filter    text    NOT NULL CHECK (length(filter) BETWEEN 1 AND 4096),
    -- when it began
    at        bigint  NOT NULL,
    -- true: retry superseded jobs too; cancel unfinished jobs and erase them too
    force     boolean NOT NULL,
    -- the jobs before this id are still to be examined; jobs from the first value on are newer than the change
    before_id uuid    NOT NULL,
    -- the maximum number of jobs that it changes
    max_jobs  bigint  CHECK (max_jobs >= 0),
    -- how many jobs it has changed, and how many it had to leave as they were
    changed   bigint  NOT NULL DEFAULT 0 CHECK (changed >= 0),
    skipped   bigint  NOT NULL DEFAULT 0 CHECK (skipped >= 0),
    state     text    NOT NULL CHECK (state IN ('running', 'done', 'stopped', 'failed'))
);

-- The bulk changes that continue: few.
CREATE INDEX bulk_changes_running ON bulk_changes (id) WHERE state = 'running';

UPDATE store SET version = 6, compatible_from = 6;
