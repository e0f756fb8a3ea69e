-- Accounts that were connected by OAuth, with their tokens encrypted. Accounts from the configuration are never in this
-- table.
--
-- Times are milliseconds since 1970, UTC, by the calendar unless a comment names another clock.

CREATE TABLE accounts (
    -- Kommo's number of the account
    account_id      bigint  NOT NULL CHECK (account_id > 0),
    -- the id of the integration that connects it, in lower case
    client_uuid     text    COLLATE "C" NOT NULL CHECK (length(client_uuid) BETWEEN 1 AND 200),
    -- its scheme, host and port; unknown only for an account that was revoked before it was ever connected
    origin          text    CHECK (length(origin) BETWEEN 8 AND 300),
    -- its address before it moved: requests from that time are answered at its new address
    previous_origin text    CHECK (length(previous_origin) BETWEEN 8 AND 300),
    state           text    NOT NULL CHECK (state IN ('active', 'needs_authorization', 'revoked')),
    -- why it is not active, for people
    reason          text,
    -- grows with each change of the tokens; a write with an older number changes nothing
    generation      bigint  NOT NULL CHECK (generation > 0),
    -- the id of the key that encrypted the tokens
    key_id          text    CHECK (length(key_id) = 16),
    -- XChaCha20-Poly1305: nonce and ciphertext, bound to the account, the integration and the column
    access_token    bytea   CHECK (length(access_token) > 40),
    refresh_token   bytea   CHECK (length(refresh_token) > 40),
    -- when the tokens were issued, and when the access token expires
    obtained_at     bigint,
    expires_at      bigint,
    -- set while a process renews the tokens; no other process may do so before this moment of the steady clock
    renewing_until  bigint,
    -- which process renews them: the owner of the store, or an observer
    renewing_by     text    CHECK (renewing_by IN ('owner', 'visitor')),
    -- when a person last connected it
    connected_at    bigint,

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
);

-- The addresses at which accounts were seen in verified tokens of bots. Only for such a pair is the integration's secret
-- sent without a link and without an operator's confirmation. A row is written once, when a pair is first seen.
CREATE TABLE account_origins (
    -- the id of the integration whose secret signed the token, in lower case: a token signed with another secret proves
    -- nothing here
    client_uuid text    COLLATE "C" NOT NULL CHECK (length(client_uuid) BETWEEN 1 AND 200),
    -- the token's `iss`: scheme, host and port
    origin      text    COLLATE "C" NOT NULL CHECK (length(origin) BETWEEN 8 AND 300),
    -- the token's `account_id`
    account_id  bigint  NOT NULL CHECK (account_id > 0),

    PRIMARY KEY (client_uuid, origin, account_id)
);

-- The codes of installations that came without a link and are not exchanged yet, encrypted. Few, and each for 20 minutes.
CREATE TABLE oauth_codes (
    -- the number of the code; newer codes have greater numbers
    id          bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- the id of the integration that was installed, in lower case
    client_uuid text    NOT NULL CHECK (length(client_uuid) BETWEEN 1 AND 200),
    -- the address that the caller named, unverified
    origin      text    NOT NULL CHECK (length(origin) BETWEEN 8 AND 300),
    -- the id of the key that encrypted the code
    key_id      text    NOT NULL CHECK (length(key_id) = 16),
    -- XChaCha20-Poly1305: nonce and ciphertext, bound to the integration, the address and the column
    code        bytea   NOT NULL CHECK (length(code) > 40),
    -- when the call arrived, and when the code expires at Kommo
    received_at bigint  NOT NULL,
    expires_at  bigint  NOT NULL,
    -- when the code expires by the service time of the store; it is deleted after both
    expires_service_at bigint  NOT NULL
);

-- The `state` of each used link: it is valid for one code. A row is deleted some time after the link has expired.
CREATE TABLE oauth_states (
    -- the random part of the `state`
    nonce      bytea   NOT NULL CHECK (length(nonce) = 16),
    -- SHA-256 of the code that came with it
    code_hash  bytea   NOT NULL CHECK (length(code_hash) = 32),
    -- when the link expires
    expires_at bigint  NOT NULL,
    -- the same by the service time of the store; the row is deleted some time after both
    expires_service_at bigint  NOT NULL,
    -- the account that it connected; NULL until then
    account_id bigint  CHECK (account_id > 0),

    PRIMARY KEY (nonce)
);

-- Signed calls of /oauth/revoked. Such a call always has the same text, so a known call may be a repetition.
CREATE TABLE revocation_calls (
    -- Kommo's number of the account
    account_id  bigint  NOT NULL CHECK (account_id > 0),
    -- the id of the integration, in lower case
    client_uuid text    COLLATE "C" NOT NULL CHECK (length(client_uuid) BETWEEN 1 AND 200),
    -- when it first arrived
    first_at    bigint  NOT NULL,
    -- since when a call has waited until the account can be asked; NULL if none waits
    pending_at  bigint,

    PRIMARY KEY (account_id, client_uuid)
);

-- Why the deliveries of an account wait, as known to the bridge that owns the store. Commands beside it read it here. A
-- row is written when a wait begins and each time a try of the account fails, and deleted when deliveries continue. A
-- start deletes all rows: its first deliveries find out again.
CREATE TABLE account_waits (
    -- scheme, host and port of the account, by which its calls are paced; * for all accounts
    origin text    COLLATE "C" NOT NULL CHECK (length(origin) BETWEEN 1 AND 300),
    -- the cause, for programs
    cause  text    NOT NULL CHECK (cause IN ('unauthorized', 'payment_required', 'forbidden', 'blocked', 'too_many',
        'not_connected', 'not_renewed')),
    -- what is wrong, and what an operator should do, for people
    why    text    NOT NULL,
    advice text    NOT NULL,
    -- when the wait for this cause began
    since  bigint  NOT NULL,
    -- when the next delivery is tried; NULL if that depends on another event
    until  bigint,

    PRIMARY KEY (origin)
);

-- Accounts that `accounts resume` asks the bridge to try now. The bridge removes the rows within five seconds.
CREATE TABLE account_resumes (
    -- as in account_waits
    origin   text    COLLATE "C" NOT NULL CHECK (length(origin) BETWEEN 1 AND 300),
    -- when the operator asked
    asked_at bigint  NOT NULL,

    PRIMARY KEY (origin)
);

UPDATE store SET version = 2, compatible_from = 2;
