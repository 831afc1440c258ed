-- What ingest remembers by an operator's choice. Histories of keys, as JSON; `gone`: since when there is no object, in
-- milliseconds.
CREATE TABLE key_histories (bucket TEXT NOT NULL, key TEXT NOT NULL, history TEXT NOT NULL, gone INTEGER, PRIMARY KEY (bucket, key)) WITHOUT ROWID;
CREATE INDEX key_histories_gone ON key_histories (gone) WHERE gone IS NOT NULL;
-- Events accepted lately, until when further copies are dropped.
CREATE TABLE accepted_events (id BLOB PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX accepted_events_until ON accepted_events (until);
