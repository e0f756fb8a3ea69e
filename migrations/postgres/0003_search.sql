-- What people need to operate a bridge: the search index.

-- Search: in which blocks of jobs each handler, account, lead, contact, customer, bot and return_url occurs. Maintenance
-- adds a run for each thousand jobs, in the order of their ids, so that no accepted job writes to these tables.
CREATE TABLE search_runs (
    -- ascending with the ids
    run      bigint  NOT NULL PRIMARY KEY,
    -- the ids of the first and the last job of the run
    first_id uuid    NOT NULL UNIQUE,
    last_id  uuid    NOT NULL,
    -- the id of the first job of each block, 16 bytes each; at most 16 blocks
    blocks   bytea   NOT NULL CHECK (length(blocks) BETWEEN 16 AND 256 AND length(blocks) % 16 = 0),
    CHECK (first_id <= last_id)
);

CREATE TABLE search_terms (
    -- a part of the term's hash
    bucket  bigint  NOT NULL CHECK (bucket BETWEEN 0 AND 63),
    -- a run of search_runs
    run     bigint  NOT NULL,
    -- for each term: another part of its hash (4 bytes), and the blocks of the run in which it occurs (a mask of 2 bytes)
    entries bytea   NOT NULL CHECK (length(entries) > 0 AND length(entries) % 6 = 0),
    PRIMARY KEY (bucket, run)
);

CREATE TABLE search_progress (
    id            bigint  PRIMARY KEY CHECK (id = 1),
    -- the last id that is indexed. A job that arrives with a smaller one, because someone set the clock back, lowers it:
    -- runs that reach beyond it are void, and maintenance removes them
    indexed_until uuid    NOT NULL
);

INSERT INTO search_progress (id, indexed_until) VALUES (1, '00000000-0000-0000-0000-000000000000');

UPDATE store SET version = 3, compatible_from = 3;
