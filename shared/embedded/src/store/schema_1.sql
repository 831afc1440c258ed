-- Counters: `rules` is the version of the rules table.
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE rules (product TEXT NOT NULL, name TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (product, name)) WITHOUT ROWID;
CREATE TABLE topics (name TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE subscriptions (topic TEXT NOT NULL, name TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (topic, name)) WITHOUT ROWID;

-- Users' queues. `name` is null once a queue is deleted: its messages are then swept away bit by bit.
CREATE TABLE queues (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT UNIQUE,
    attributes TEXT NOT NULL,
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    messages INTEGER NOT NULL DEFAULT 0
);
-- A message is visible when `due` has come. Small rows, since every reception rewrites one; bodies lie apart.
CREATE TABLE queue_messages (
    seq INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    due INTEGER NOT NULL,
    enqueued INTEGER NOT NULL,
    first_received INTEGER,
    receive_count INTEGER NOT NULL,
    lease INTEGER,
    id BLOB NOT NULL
);
CREATE INDEX queue_order ON queue_messages (queue, priority, due);
CREATE INDEX queue_age ON queue_messages (queue, enqueued);
CREATE TABLE queue_bodies (seq INTEGER PRIMARY KEY, body TEXT NOT NULL);

-- Queues between stages: 0 ingest, 1 match, 2 deliver. Rows are written once and deleted; who holds a message is known
-- to the process alone, so that the leases of a dead process are free.
CREATE TABLE stage_messages (
    seq INTEGER PRIMARY KEY,
    stage INTEGER NOT NULL,
    grp INTEGER NOT NULL,
    due INTEGER NOT NULL,
    enqueued INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX stage_order ON stage_messages (stage, grp, due);
-- Receptions of those few stage messages that did not pass at the first.
CREATE TABLE stage_attempts (seq INTEGER PRIMARY KEY, count INTEGER NOT NULL, reason TEXT NOT NULL);

CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    product TEXT,
    rule TEXT,
    topic TEXT,
    subscription TEXT,
    message_id BLOB,
    reason TEXT NOT NULL,
    content TEXT NOT NULL
);
CREATE INDEX dead_letters_rule ON dead_letters (rule) WHERE rule IS NOT NULL;
CREATE INDEX dead_letters_topic ON dead_letters (topic, subscription) WHERE topic IS NOT NULL;
CREATE INDEX dead_letters_message ON dead_letters (message_id) WHERE message_id IS NOT NULL;

-- The attempt log names its routes once: a route is a rule's way to a subscription.
CREATE TABLE routes (
    id INTEGER PRIMARY KEY,
    product TEXT NOT NULL,
    rule TEXT NOT NULL,
    topic TEXT NOT NULL,
    subscription TEXT NOT NULL,
    UNIQUE (product, rule, topic, subscription)
);
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    route INTEGER NOT NULL,
    message_id BLOB NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    took_ms INTEGER NOT NULL,
    class INTEGER NOT NULL,
    status INTEGER,
    detail TEXT NOT NULL,
    retry_after_ms INTEGER
);
CREATE INDEX attempts_route ON attempts (route);
CREATE INDEX attempts_message ON attempts (message_id);
CREATE INDEX attempts_failed ON attempts (class) WHERE class <> 0;
