-- The whole catalogue. A migration only adds until the next release, so that a rollback starts: new tables, new columns with defaults.
-- Times are milliseconds since 1970, sizes bytes. Ids are 16-byte blobs, truths 0 and 1. Kept alike with the Postgres directory.

-- One row. A central whose generation is below oldest_central must not use this database.
CREATE TABLE meta (
    one INTEGER PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    network BLOB NOT NULL,
    generation INTEGER NOT NULL,
    oldest_central INTEGER NOT NULL
) STRICT;

-- Numbers whose order is the order of commits: taken by UPDATE … RETURNING, which makes the next one wait for this commit.
CREATE TABLE counters (
    name TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;
-- The row 'accounts' is only locked: by what must not happen twice at once to administrators.
INSERT INTO counters (name, value) VALUES ('notices', 0), ('feed', 0), ('accounts', 0);

CREATE TABLE accounts (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    admin INTEGER NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0,
    password TEXT,
    created_ms INTEGER NOT NULL,
    CONSTRAINT accounts_name UNIQUE (name)
) STRICT;

CREATE TABLE groups (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    CONSTRAINT groups_name UNIQUE (name)
) STRICT;

CREATE TABLE members (
    grp BLOB NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    account BLOB NOT NULL REFERENCES accounts (id),
    PRIMARY KEY (account, grp)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_group ON members (grp);

CREATE TABLE api_tokens (
    id BLOB NOT NULL PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    account BLOB NOT NULL REFERENCES accounts (id),
    label TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    ends_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX api_tokens_account ON api_tokens (account);

CREATE TABLE join_tokens (
    id BLOB NOT NULL PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    account BLOB NOT NULL REFERENCES accounts (id),
    label TEXT NOT NULL,
    uses_left INTEGER NOT NULL CHECK (uses_left >= 0),
    created_ms INTEGER NOT NULL,
    ends_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX join_tokens_account ON join_tokens (account);

CREATE TABLE sessions (
    id BLOB NOT NULL PRIMARY KEY,
    account BLOB NOT NULL REFERENCES accounts (id),
    -- The API token that began it; the session ends with it.
    token BLOB   REFERENCES api_tokens (id) ON DELETE CASCADE,
    public_key BLOB NOT NULL,
    label TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    ends_ms INTEGER NOT NULL,
    certificate_ends_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_account ON sessions (account, created_ms);
CREATE INDEX sessions_token ON sessions (token);
CREATE INDEX sessions_ends ON sessions (ends_ms);

-- Only nonces that were used: inserting one again fails, so each is good once.
CREATE TABLE nonces (
    nonce BLOB NOT NULL PRIMARY KEY,
    ends_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX nonces_ends ON nonces (ends_ms);

CREATE TABLE peers (
    id BLOB NOT NULL PRIMARY KEY,
    public_key BLOB NOT NULL,
    account BLOB NOT NULL REFERENCES accounts (id),
    epoch INTEGER NOT NULL,
    label TEXT NOT NULL,
    address TEXT NOT NULL,
    node TEXT NOT NULL,
    zone TEXT NOT NULL,
    version TEXT NOT NULL,
    last_delta INTEGER NOT NULL DEFAULT 0,
    certificate_ends_ms INTEGER NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0,
    -- Its epoch is over: it writes no more until it registers again.
    logged_out INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    CONSTRAINT peers_public_key UNIQUE (public_key)
) STRICT;
CREATE INDEX peers_account ON peers (account);

-- What heartbeats write, apart from the rest, so that they never wait for a publish. Epoch 0: no heartbeat counts.
CREATE TABLE leases (
    peer BLOB NOT NULL PRIMARY KEY REFERENCES peers (id) ON DELETE CASCADE,
    epoch INTEGER   NOT NULL,
    -- 0 ready, 1 full, 2 leaving
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),
    room INTEGER   NOT NULL,
    seen_ms INTEGER   NOT NULL,
    ends_ms INTEGER   NOT NULL
) STRICT, WITHOUT ROWID;

-- What every peer must obey until the identity's last certificate ends.
CREATE TABLE revocations (
    number INTEGER PRIMARY KEY,
    identity TEXT NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX revocations_until ON revocations (until_ms);

CREATE TABLE shares (
    id BLOB NOT NULL PRIMARY KEY,
    peer BLOB NOT NULL REFERENCES peers (id) ON DELETE CASCADE,
    account BLOB NOT NULL REFERENCES accounts (id),
    prefix TEXT NOT NULL,
    public INTEGER NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX shares_peer ON shares (peer);

-- A name's life. With removed_ms it is a tombstone, and hash is that of its last version.
CREATE TABLE files (
    -- Key of its row in the text index.
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    folded TEXT NOT NULL,
    -- Beginnings, of one and two characters, of the words of the folded name.
    starts TEXT NOT NULL,
    owner BLOB NOT NULL REFERENCES accounts (id),
    public INTEGER NOT NULL,
    serial INTEGER NOT NULL,
    -- The current version.
    version INTEGER NOT NULL,
    hash BLOB NOT NULL,
    size INTEGER NOT NULL,
    published_ms INTEGER NOT NULL,
    removed_ms INTEGER,
    -- When the last holder let it go.
    last_seen_ms INTEGER
) STRICT;
CREATE UNIQUE INDEX files_name ON files (name) WHERE removed_ms IS NULL;
CREATE INDEX files_tombstones ON files (name) WHERE removed_ms IS NOT NULL;
CREATE INDEX files_owner ON files (owner, name) WHERE removed_ms IS NULL;
CREATE INDEX files_folded ON files (folded) WHERE removed_ms IS NULL;
-- The trigrams of folded and starts; detail=none keeps rows only, which is all that is asked of it.
CREATE VIRTUAL TABLE names USING fts5 (text, content = '', detail = none, tokenize = 'trigram case_sensitive 1');

-- Accounts and groups that a file names.
CREATE TABLE access (
    file BLOB NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    principal BLOB NOT NULL,
    is_group INTEGER NOT NULL,
    can_write INTEGER NOT NULL,
    PRIMARY KEY (file, principal)
) STRICT, WITHOUT ROWID;
CREATE INDEX access_principal ON access (principal);

CREATE TABLE tags (
    tag TEXT NOT NULL,
    file BLOB NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    PRIMARY KEY (tag, file)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_file ON tags (file);

-- The current version and those before it that are kept.
CREATE TABLE versions (
    file BLOB NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    hash BLOB NOT NULL,
    size INTEGER NOT NULL,
    published_ms INTEGER NOT NULL,
    publisher BLOB NOT NULL,
    -- Envelope of the signed record.
    record BLOB NOT NULL,
    PRIMARY KEY (file, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX versions_hash ON versions (hash);

CREATE TABLE holdings (
    file BLOB NOT NULL,
    version INTEGER   NOT NULL,
    peer BLOB NOT NULL REFERENCES peers (id) ON DELETE CASCADE,
    -- Of the digest.
    bucket INTEGER NOT NULL,
    whole INTEGER NOT NULL,
    PRIMARY KEY (file, version, peer),
    FOREIGN KEY (file, version) REFERENCES versions (file, version) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX holdings_peer ON holdings (peer, bucket);

-- The newest change or removal of a file, for each peer that holds it. Number 0: it held a version that is no longer kept.
CREATE TABLE file_notices (
    peer BLOB NOT NULL REFERENCES peers (id) ON DELETE CASCADE,
    file BLOB NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    PRIMARY KEY (peer, file)
) STRICT, WITHOUT ROWID;
CREATE INDEX file_notices_number ON file_notices (peer, number) WHERE number > 0;
CREATE INDEX file_notices_file ON file_notices (file);

CREATE TABLE uploads (
    id BLOB NOT NULL PRIMARY KEY,
    account BLOB NOT NULL REFERENCES accounts (id),
    -- Begun as an administrator.
    admin INTEGER NOT NULL,
    peer BLOB NOT NULL REFERENCES peers (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    public INTEGER NOT NULL,
    -- JSON: access list and tags of a new name.
    extras TEXT NOT NULL,
    replaces_file BLOB,
    replaces_version INTEGER NOT NULL,
    ends_ms INTEGER NOT NULL,
    -- What it led to.
    done_file BLOB,
    done_version INTEGER
) STRICT;
CREATE INDEX uploads_account ON uploads (account);
CREATE INDEX uploads_peer ON uploads (peer) WHERE done_file IS NULL;
CREATE INDEX uploads_ends ON uploads (ends_ms);

-- Results of publishes, by idempotency key.
CREATE TABLE replays (
    peer BLOB NOT NULL REFERENCES peers (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    -- Hash of what was asked.
    request BLOB NOT NULL,
    results BLOB NOT NULL,
    ends_ms INTEGER NOT NULL,
    PRIMARY KEY (peer, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX replays_ends ON replays (ends_ms);

-- Events, written in the transaction that changes the catalogue. feed_no is stamped after the commit, in order.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    file BLOB,
    payload TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    feed_no INTEGER UNIQUE
) STRICT;
CREATE INDEX outbox_unstamped ON outbox (id) WHERE feed_no IS NULL;
CREATE INDEX outbox_created ON outbox (created_ms);
