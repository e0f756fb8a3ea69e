-- What operators do, and their changes of many jobs.
--
-- Times are milliseconds since 1970, UTC, by the calendar.

-- Actions: who changed what. A change and its row are written in one transaction. The newest 10,000 rows stay.
CREATE TABLE actions (
    -- ascending
    id     INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    -- where it came from
    source TEXT    NOT NULL CHECK (source IN ('api', 'page', 'cli')),
    -- who: the token's role, or the operating system's user of a command; never a token
    who    TEXT    NOT NULL CHECK (length(who) BETWEEN 1 AND 100),
    -- the command that does the same, such as `jobs retry`
    what   TEXT    NOT NULL CHECK (length(what) BETWEEN 1 AND 40),
    -- the job, if it is about one
    job_id BLOB    CHECK (length(job_id) = 16),
    -- the filter, the account, or the file, if it is not about one job
    target TEXT    CHECK (length(target) BETWEEN 1 AND 1000),
    -- how many jobs it changed
    jobs   INTEGER NOT NULL CHECK (jobs >= 0),
    -- how it ended; a bulk change that continues is `running`
    result TEXT    NOT NULL CHECK (result IN ('done', 'running', 'stopped', 'failed'))
) STRICT;

-- Bulk changes: of the jobs that match a filter, and erasures. They continue after a restart.
CREATE TABLE bulk_changes (
    -- its row in actions
    id        INTEGER PRIMARY KEY REFERENCES actions (id) ON DELETE CASCADE,
    action    TEXT    NOT NULL CHECK (action IN ('retry', 'cancel', 'erase')),
    -- which jobs, in the filter language
    filter    TEXT    NOT NULL CHECK (length(filter) BETWEEN 1 AND 4096),
    -- when it began
    at        INTEGER NOT NULL,
    -- 1: retry superseded jobs too; cancel unfinished jobs and erase them too
    force     INTEGER NOT NULL CHECK (force IN (0, 1)),
    -- the jobs before this id are still to be examined; jobs from the first value on are newer than the change
    before_id BLOB    NOT NULL CHECK (length(before_id) = 16),
    -- the maximum number of jobs that it changes
    max_jobs  INTEGER CHECK (max_jobs >= 0),
    -- how many jobs it has changed, and how many it had to leave as they were
    changed   INTEGER NOT NULL DEFAULT 0 CHECK (changed >= 0),
    skipped   INTEGER NOT NULL DEFAULT 0 CHECK (skipped >= 0),
    state     TEXT    NOT NULL CHECK (state IN ('running', 'done', 'stopped', 'failed'))
) STRICT;

-- The bulk changes that continue: few.
CREATE INDEX bulk_changes_running ON bulk_changes (id) WHERE state = 'running';
