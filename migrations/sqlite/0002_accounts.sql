-- Accounts that were connected by OAuth, with their tokens encrypted. An account of the configuration is never here.
--
-- Times are milliseconds since 1970, UTC.

CREATE TABLE accounts (
    -- Kommo's number of the account
    account_id      INTEGER NOT NULL CHECK (account_id > 0),
    -- the id of the integration through which it is connected, in lower case
    client_uuid     TEXT    NOT NULL CHECK (length(client_uuid) BETWEEN 1 AND 200),
    -- its scheme, host and port; unknown only for an account that was revoked before it was ever connected
    origin          TEXT    CHECK (length(origin) BETWEEN 8 AND 300),
    -- where it was before it moved: requests of that time are answered at its new address
    previous_origin TEXT    CHECK (length(previous_origin) BETWEEN 8 AND 300),
    state           TEXT    NOT NULL CHECK (state IN ('active', 'needs_authorization', 'revoked')),
    -- why it is not active, for a person
    reason          TEXT,
    -- grows with each change of the tokens; a write that names an older one changes nothing
    generation      INTEGER NOT NULL CHECK (generation > 0),
    -- names the key that encrypted the tokens
    key_id          TEXT    CHECK (length(key_id) = 16),
    -- XChaCha20-Poly1305: nonce and ciphertext, bound to the account, the integration and the column
    access_token    BLOB    CHECK (length(access_token) > 40),
    refresh_token   BLOB    CHECK (length(refresh_token) > 40),
    -- when the tokens were made, and from when on the access token is good no more
    obtained_at     INTEGER,
    expires_at      INTEGER,
    -- set while somebody renews the tokens; nobody else may before this moment
    renewing_until  INTEGER,
    -- who: the owner of the store, or a visitor beside it
    renewing_by     TEXT    CHECK (renewing_by IN ('owner', 'visitor')),
    -- when a person connected it last
    connected_at    INTEGER,

    PRIMARY KEY (account_id, client_uuid),
    CHECK ((state = 'active') = (reason IS NULL)),
    CHECK (origin IS NOT NULL OR state = 'revoked'),
    CHECK ((state = 'active') = (key_id IS NOT NULL)),
    CHECK ((key_id IS NULL) = (access_token IS NULL)),
    CHECK ((key_id IS NULL) = (refresh_token IS NULL)),
    CHECK ((key_id IS NULL) = (obtained_at IS NULL)),
    CHECK ((key_id IS NULL) = (expires_at IS NULL)),
    CHECK (renewing_until IS NULL OR state = 'active'),
    CHECK ((renewing_until IS NULL) = (renewing_by IS NULL))
) STRICT, WITHOUT ROWID;
