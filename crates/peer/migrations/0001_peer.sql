-- What a peer remembers. Ids are 16 bytes, hashes 32, times milliseconds since 1970.

-- Numbers and texts of which there is one: the last delta, the last notice obeyed, the network.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE shares (
    -- Never used again: a walk that knows it by the prefix it had writes nothing under another one.
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    path TEXT NOT NULL UNIQUE,
    prefix TEXT NOT NULL,
    visibility INTEGER NOT NULL,
    -- The command line of the last start named it.
    configured INTEGER NOT NULL
) STRICT;

-- One row for each path: in a share, or where a download or an upload wrote it.
CREATE TABLE files (
    -- Never used again: what became of a publish is noted for the row that was published, or for none.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL UNIQUE,
    share INTEGER REFERENCES shares (number) ON DELETE CASCADE,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    device INTEGER NOT NULL,
    hash BLOB NOT NULL,
    -- 0: to be published, 1: held, 2: left out, with a code.
    state INTEGER NOT NULL,
    file_id BLOB,
    version INTEGER,
    -- A download wrote it: the indexer never publishes it.
    fetched INTEGER NOT NULL,
    code TEXT,
    detail TEXT,
    used_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX files_version ON files (file_id, version) WHERE file_id IS NOT NULL;
CREATE INDEX files_pending ON files (id) WHERE state = 0;
CREATE INDEX files_trouble ON files (id) WHERE state = 2;
-- Contents with a piece list.
CREATE INDEX files_listed ON files (hash) WHERE size > 1048576;
CREATE INDEX files_name ON files (name) WHERE state = 1;

-- Records as central signed them, of what this peer holds or last had. `held`: 0 nothing, 1 all.
CREATE TABLE records (
    file_id BLOB NOT NULL,
    version INTEGER NOT NULL,
    name TEXT NOT NULL,
    hash BLOB NOT NULL,
    owner BLOB NOT NULL,
    visibility INTEGER NOT NULL,
    serial INTEGER NOT NULL,
    envelope BLOB NOT NULL,
    held INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    PRIMARY KEY (file_id, version)
) STRICT, WITHOUT ROWID;
-- All that counting, comparing and sending holdings read: without `held` each row would be looked up in the table.
CREATE INDEX records_bucket ON records (bucket, file_id, version, held) WHERE held > 0;
CREATE INDEX records_private ON records (hash) WHERE visibility = 2;

-- The version that this peer last had of a name: what its next publish replaces.
CREATE TABLE names (name TEXT PRIMARY KEY, file_id BLOB NOT NULL, version INTEGER NOT NULL, hash BLOB NOT NULL) STRICT, WITHOUT ROWID;

-- Contents that downloads wrote here, or that were private in a share that went; kept after the file is gone.
CREATE TABLE fetched (hash BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;

-- Highest serial seen of a file, where it is higher than that of the records here.
CREATE TABLE serials (file_id BLOB PRIMARY KEY, serial INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- Identities to serve no more, until their last certificate would end.
CREATE TABLE revoked (identity TEXT PRIMARY KEY, until_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- Changes of what is held that central has not acknowledged yet.
-- Numbers are never used again (AUTOINCREMENT).
CREATE TABLE deltas (number INTEGER PRIMARY KEY AUTOINCREMENT, file_id BLOB NOT NULL, version INTEGER NOT NULL, held INTEGER NOT NULL) STRICT;
INSERT INTO sqlite_sequence (name, seq) VALUES ('deltas', 0);

-- Downloads that were accepted and are not done.
CREATE TABLE jobs (id BLOB PRIMARY KEY, request BLOB NOT NULL, created_ms INTEGER NOT NULL, state TEXT NOT NULL, detail TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- Uploads that were opened while their order was good, and what became of them.
CREATE TABLE uploads (id BLOB PRIMARY KEY, opened_ms INTEGER NOT NULL, file_id BLOB, version INTEGER) STRICT, WITHOUT ROWID;
