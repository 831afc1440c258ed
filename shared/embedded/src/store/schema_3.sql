-- Marks that stand for a while: nonces that were used, tokens of requests that were answered.
CREATE TABLE marks (name TEXT PRIMARY KEY, value TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX marks_until ON marks (until);
