-- What the bridge writes to find out whether it can: a full disk often has room left for a page, but none
-- for a request, and whoever asks whether the bridge is ready wants to know about requests.
CREATE TABLE probe (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    -- other bytes at each probe, as many as a large request needs
    filler BLOB    NOT NULL CHECK (length(filler) = 65536)
) STRICT;

INSERT INTO probe (id, filler) VALUES (1, zeroblob(65536));
