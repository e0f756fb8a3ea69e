-- What operators look at: history for charts.

-- The numbers of each period, so that a restart keeps the charts. Each resolution has a limited number of rows: 720 of
-- 5 seconds, 1,440 of a minute, 1,344 of 15 minutes. Written once a minute.
CREATE TABLE history (
    -- the length of a period
    step_seconds bigint  NOT NULL CHECK (step_seconds >= 1),
    -- the number of the period: how many such periods have passed since 1970, by the calendar
    slot         bigint  NOT NULL CHECK (slot >= 0),
    -- the numbers, as JSON
    point        text    NOT NULL CHECK (length(point) BETWEEN 2 AND 4096),
    PRIMARY KEY (step_seconds, slot)
);

UPDATE store SET version = 5, compatible_from = 5;
