-- The whole catalogue. A migration only adds until the next release, so that a rollback starts: new tables, new columns with defaults.
-- Times are milliseconds since 1970, sizes bytes. Names compare by their bytes: COLLATE "C". Kept alike with the SQLite directory.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- One row. A central whose generation is below oldest_central must not use this database.
CREATE TABLE meta (
    one            BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one),
    network        UUID    NOT NULL,
    generation     BIGINT  NOT NULL,
    oldest_central BIGINT  NOT NULL
);

-- Numbers whose order is the order of commits: taken by UPDATE … RETURNING, which makes the next one wait for this commit.
CREATE TABLE counters (
    name  TEXT   PRIMARY KEY,
    value BIGINT NOT NULL
);
-- The row 'accounts' is only locked: by what must not happen twice at once to administrators.
INSERT INTO counters (name, value) VALUES ('notices', 0), ('feed', 0), ('accounts', 0);

CREATE TABLE accounts (
    id         UUID    PRIMARY KEY,
    name       TEXT    COLLATE "C" NOT NULL,
    admin      BOOLEAN NOT NULL,
    disabled   BOOLEAN NOT NULL DEFAULT FALSE,
    password   TEXT,
    created_ms BIGINT  NOT NULL,
    CONSTRAINT accounts_name UNIQUE (name)
);

CREATE TABLE groups (
    id   UUID PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    CONSTRAINT groups_name UNIQUE (name)
);

CREATE TABLE members (
    grp     UUID NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    account UUID NOT NULL REFERENCES accounts (id),
    PRIMARY KEY (account, grp)
);
CREATE INDEX members_group ON members (grp);

CREATE TABLE api_tokens (
    id         UUID   PRIMARY KEY,
    hash       BYTEA  NOT NULL UNIQUE,
    account    UUID   NOT NULL REFERENCES accounts (id),
    label      TEXT   NOT NULL,
    created_ms BIGINT NOT NULL,
    ends_ms    BIGINT NOT NULL
);
CREATE INDEX api_tokens_account ON api_tokens (account);

CREATE TABLE join_tokens (
    id         UUID   PRIMARY KEY,
    hash       BYTEA  NOT NULL UNIQUE,
    account    UUID   NOT NULL REFERENCES accounts (id),
    label      TEXT   NOT NULL,
    uses_left  BIGINT NOT NULL CHECK (uses_left >= 0),
    created_ms BIGINT NOT NULL,
    ends_ms    BIGINT NOT NULL
);
CREATE INDEX join_tokens_account ON join_tokens (account);

CREATE TABLE sessions (
    id                  UUID   PRIMARY KEY,
    account             UUID   NOT NULL REFERENCES accounts (id),
    -- The API token that began it; the session ends with it.
    token               UUID   REFERENCES api_tokens (id) ON DELETE CASCADE,
    public_key          BYTEA  NOT NULL,
    label               TEXT   NOT NULL,
    created_ms          BIGINT NOT NULL,
    ends_ms             BIGINT NOT NULL,
    certificate_ends_ms BIGINT NOT NULL
);
CREATE INDEX sessions_account ON sessions (account, created_ms);
CREATE INDEX sessions_token ON sessions (token);
CREATE INDEX sessions_ends ON sessions (ends_ms);

-- Only nonces that were used: inserting one again fails, so each is good once.
CREATE TABLE nonces (
    nonce   BYTEA  PRIMARY KEY,
    ends_ms BIGINT NOT NULL
);
CREATE INDEX nonces_ends ON nonces (ends_ms);

CREATE TABLE peers (
    id                  UUID    PRIMARY KEY,
    public_key          BYTEA   NOT NULL,
    account             UUID    NOT NULL REFERENCES accounts (id),
    epoch               BIGINT  NOT NULL,
    label               TEXT    NOT NULL,
    address             TEXT    NOT NULL,
    node                TEXT    NOT NULL,
    zone                TEXT    NOT NULL,
    version             TEXT    NOT NULL,
    last_delta          BIGINT  NOT NULL DEFAULT 0,
    certificate_ends_ms BIGINT  NOT NULL,
    revoked             BOOLEAN NOT NULL DEFAULT FALSE,
    -- Its epoch is over: it writes no more until it registers again.
    logged_out          BOOLEAN NOT NULL DEFAULT FALSE,
    created_ms          BIGINT  NOT NULL,
    CONSTRAINT peers_public_key UNIQUE (public_key)
);
CREATE INDEX peers_account ON peers (account);

-- What heartbeats write, apart from the rest, so that they never wait for a publish. Epoch 0: no heartbeat counts.
CREATE TABLE leases (
    peer    UUID     PRIMARY KEY REFERENCES peers (id) ON DELETE CASCADE,
    epoch   BIGINT   NOT NULL,
    -- 0 ready, 1 full, 2 leaving
    state   SMALLINT NOT NULL CHECK (state BETWEEN 0 AND 2),
    room    BIGINT   NOT NULL,
    seen_ms BIGINT   NOT NULL,
    ends_ms BIGINT   NOT NULL
) WITH (fillfactor = 50);

-- What every peer must obey until the identity's last certificate ends.
CREATE TABLE revocations (
    number   BIGINT PRIMARY KEY,
    identity TEXT   NOT NULL,
    until_ms BIGINT NOT NULL
);
CREATE INDEX revocations_until ON revocations (until_ms);

CREATE TABLE shares (
    id         UUID    PRIMARY KEY,
    peer       UUID    NOT NULL REFERENCES peers (id) ON DELETE CASCADE,
    account    UUID    NOT NULL REFERENCES accounts (id),
    prefix     TEXT    COLLATE "C" NOT NULL,
    public     BOOLEAN NOT NULL,
    created_ms BIGINT  NOT NULL
);
CREATE INDEX shares_peer ON shares (peer);

-- A name's life. With removed_ms it is a tombstone, and hash is that of its last version.
CREATE TABLE files (
    id           UUID    PRIMARY KEY,
    name         TEXT    COLLATE "C" NOT NULL,
    folded       TEXT    COLLATE "C" NOT NULL,
    -- Beginnings, of one and two characters, of the words of the folded name.
    starts       TEXT[]  COLLATE "C" NOT NULL,
    owner        UUID    NOT NULL REFERENCES accounts (id),
    public       BOOLEAN NOT NULL,
    serial       BIGINT  NOT NULL,
    -- The current version.
    version      BIGINT  NOT NULL,
    hash         BYTEA   NOT NULL,
    size         BIGINT  NOT NULL,
    published_ms BIGINT  NOT NULL,
    removed_ms   BIGINT,
    -- When the last holder let it go.
    last_seen_ms BIGINT
);
CREATE UNIQUE INDEX files_name ON files (name) WHERE removed_ms IS NULL;
CREATE INDEX files_tombstones ON files (name) WHERE removed_ms IS NOT NULL;
CREATE INDEX files_owner ON files (owner, name) WHERE removed_ms IS NULL;
CREATE INDEX files_folded ON files (folded) WHERE removed_ms IS NULL;
CREATE INDEX files_trigrams ON files USING gin (folded gin_trgm_ops) WHERE removed_ms IS NULL;
CREATE INDEX files_starts ON files USING gin (starts) WHERE removed_ms IS NULL;

-- Accounts and groups that a file names.
CREATE TABLE access (
    file      UUID    NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    principal UUID    NOT NULL,
    is_group  BOOLEAN NOT NULL,
    can_write BOOLEAN NOT NULL,
    PRIMARY KEY (file, principal)
);
CREATE INDEX access_principal ON access (principal);

CREATE TABLE tags (
    tag  TEXT COLLATE "C" NOT NULL,
    file UUID NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    PRIMARY KEY (tag, file)
);
CREATE INDEX tags_file ON tags (file);

-- The current version and those before it that are kept.
CREATE TABLE versions (
    file         UUID   NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    version      BIGINT NOT NULL,
    hash         BYTEA  NOT NULL,
    size         BIGINT NOT NULL,
    published_ms BIGINT NOT NULL,
    publisher    UUID   NOT NULL,
    -- Envelope of the signed record.
    record       BYTEA  NOT NULL,
    PRIMARY KEY (file, version)
);
CREATE INDEX versions_hash ON versions (hash);

CREATE TABLE holdings (
    file    UUID     NOT NULL,
    version BIGINT   NOT NULL,
    peer    UUID     NOT NULL REFERENCES peers (id) ON DELETE CASCADE,
    -- Of the digest.
    bucket  SMALLINT NOT NULL,
    whole   BOOLEAN  NOT NULL,
    PRIMARY KEY (file, version, peer),
    FOREIGN KEY (file, version) REFERENCES versions (file, version) ON DELETE CASCADE
);
CREATE INDEX holdings_peer ON holdings (peer, bucket);

-- The newest change or removal of a file, for each peer that holds it. Number 0: it held a version that is no longer kept.
CREATE TABLE file_notices (
    peer   UUID   NOT NULL REFERENCES peers (id) ON DELETE CASCADE,
    file   UUID   NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    PRIMARY KEY (peer, file)
);
CREATE INDEX file_notices_number ON file_notices (peer, number) WHERE number > 0;
CREATE INDEX file_notices_file ON file_notices (file);

CREATE TABLE uploads (
    id               UUID    PRIMARY KEY,
    account          UUID    NOT NULL REFERENCES accounts (id),
    -- Begun as an administrator.
    admin            BOOLEAN NOT NULL,
    peer             UUID    NOT NULL REFERENCES peers (id) ON DELETE CASCADE,
    name             TEXT    COLLATE "C" NOT NULL,
    size             BIGINT  NOT NULL,
    public           BOOLEAN NOT NULL,
    -- JSON: access list and tags of a new name.
    extras           TEXT    NOT NULL,
    replaces_file    UUID,
    replaces_version BIGINT  NOT NULL,
    ends_ms          BIGINT  NOT NULL,
    -- What it led to.
    done_file        UUID,
    done_version     BIGINT
);
CREATE INDEX uploads_account ON uploads (account);
CREATE INDEX uploads_peer ON uploads (peer) WHERE done_file IS NULL;
CREATE INDEX uploads_ends ON uploads (ends_ms);

-- Results of publishes, by idempotency key.
CREATE TABLE replays (
    peer    UUID   NOT NULL REFERENCES peers (id) ON DELETE CASCADE,
    key     TEXT   COLLATE "C" NOT NULL,
    -- Hash of what was asked.
    request BYTEA  NOT NULL,
    results BYTEA  NOT NULL,
    ends_ms BIGINT NOT NULL,
    PRIMARY KEY (peer, key)
);
CREATE INDEX replays_ends ON replays (ends_ms);

-- Events, written in the transaction that changes the catalogue. feed_no is stamped after the commit, in order.
CREATE TABLE outbox (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       TEXT   NOT NULL,
    file       UUID,
    payload    TEXT   NOT NULL,
    created_ms BIGINT NOT NULL,
    feed_no    BIGINT UNIQUE
);
CREATE INDEX outbox_unstamped ON outbox (id) WHERE feed_no IS NULL;
CREATE INDEX outbox_created ON outbox (created_ms);
