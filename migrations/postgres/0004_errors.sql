-- What operators see beside the jobs.
--
-- Times are milliseconds since 1970, UTC, by the calendar unless a comment names another clock.

-- Errors of jobs, in groups: errors whose texts differ only in numbers, ids and quoted values. A group contains no text of
-- a customer. Only an attempt with an error, a fallback or a dead job touches these tables. There are about a thousand
-- groups at most; further errors go into one group for each stage. A group is deleted some time after its last error.
CREATE TABLE error_groups (
    -- jobs name it (jobs.error_group), so no number is used twice
    id              bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- the kind of the attempt
    stage           text    COLLATE "C" NOT NULL CHECK (stage IN ('handler', 'delivery')),
    -- the name of the handler whose attempts failed; empty for deliveries and for the group of all further errors
    handler         text    COLLATE "C" NOT NULL CHECK (length(handler) <= 64),
    -- the common text of the errors
    text            text    COLLATE "C" NOT NULL CHECK (length(text) BETWEEN 1 AND 300),
    -- the number of errors
    failures        bigint  NOT NULL CHECK (failures >= 1),
    -- when the first and the last error occurred
    first_at        bigint  NOT NULL,
    last_at         bigint  NOT NULL,
    -- when the last one occurred, by the service time
    last_service_at bigint  NOT NULL,
    -- the job with the last error; it may have been deleted
    sample          uuid    NOT NULL
);

CREATE UNIQUE INDEX error_groups_texts ON error_groups (text, stage, handler);

-- The errors of each group by hour, for the last day.
CREATE TABLE error_hours (
    group_id bigint  NOT NULL REFERENCES error_groups (id) ON DELETE CASCADE,
    -- hours since 1970
    hour     bigint  NOT NULL,
    failures bigint  NOT NULL CHECK (failures >= 1),
    PRIMARY KEY (group_id, hour)
);

UPDATE store SET version = 4, compatible_from = 4;
