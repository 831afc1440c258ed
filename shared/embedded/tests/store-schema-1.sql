-- A store as the release with schema 1 left it when it was killed: three rules, two messages of a queue, one of them
-- received, a delivery that waits for its retry, a dead letter, and the attempts.
PRAGMA user_version = 1;
PRAGMA application_id = 1130459753;
BEGIN TRANSACTION;
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
INSERT INTO "attempts" VALUES(1,1,X'A0F134EED7D8262EEB3EAA6760BF8E4E',1,1795366378072,64,0,NULL,'',NULL);
INSERT INTO "attempts" VALUES(2,1,X'F6261DF742220C4868684427E8BD5335',1,1795366378072,64,0,NULL,'',NULL);
INSERT INTO "attempts" VALUES(3,2,X'C6E39E2EFB646816ECA668D484868463',1,1795366378136,9,2,410,'',NULL);
INSERT INTO "attempts" VALUES(4,3,X'F0C41FE24257C168D333F8101E1B4839',1,1795366378136,24,1,NULL,'no connection: 127.0.0.1:19999: Connection refused (os error 111)',NULL);
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
INSERT INTO "dead_letters" VALUES(1,1795366378145,'oss','gone','mns-en-topics-oss-gone-1795366375884461','mns-en-subs-oss-gone-1-1795366375884461',X'C6E39E2EFB646816ECA668D484868463','no retry would mend this: the endpoint answered 410','{"delivery":{"topic":"mns-en-topics-oss-gone-1795366375884461","subscription":"mns-en-subs-oss-gone-1-1795366375884461","version":3,"notification":{"message_id":"C6E39E2EFB646816ECA668D484868463","product":"oss","rule":"gone","event_type":"ObjectCreated:PutObject","resource":"data/team-3/part-4","body":"eyJldmVudHMiOlt7ImV2ZW50TmFtZSI6Ik9iamVjdENyZWF0ZWQ6UHV0T2JqZWN0IiwiZXZlbnRTb3VyY2UiOiJhY3M6b3NzIiwiZXZlbnRUaW1lIjoiMjAyNi0xMS0yMlQwODowMDowMC4xMjNaIiwiZXZlbnRWZXJzaW9uIjoiMS4wIiwib3NzIjp7ImJ1Y2tldCI6eyJhcm4iOiJhY3M6b3NzOnVzLWVhc3QtMTowMDAwMDAwMDAwMDA6ZGF0YSIsIm5hbWUiOiJkYXRhIiwib3duZXJJZGVudGl0eSI6IjAwMDAwMDAwMDAwMCJ9LCJvYmplY3QiOnsiZGVsdGFTaXplIjoxLCJlVGFnIjoiZDQxZDhjZDk4ZjAwYjIwNGU5ODAwOTk4ZWNmODQyN2UiLCJrZXkiOiJ0ZWFtLTMvcGFydC00Iiwic2l6ZSI6MX0sIm9zc1NjaGVtYVZlcnNpb24iOiIxLjAiLCJydWxlSWQiOiJnb25lIn0sInJlZ2lvbiI6InVzLWVhc3QtMSJ9XX0=","published":1795366378056},"attempts":1,"history":[{"at":1795366378136,"took_ms":9,"class":"hopeless","status":410}]}}');
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('rules',3);
CREATE TABLE queue_bodies (seq INTEGER PRIMARY KEY, body TEXT NOT NULL);
INSERT INTO "queue_bodies" VALUES(5,'eyJldmVudHMiOlt7ImV2ZW50TmFtZSI6Ik9iamVjdENyZWF0ZWQ6UHV0T2JqZWN0IiwiZXZlbnRTb3VyY2UiOiJhY3M6b3NzIiwiZXZlbnRUaW1lIjoiMjAyNi0xMS0yMlQwODowMDowMC4xMjNaIiwiZXZlbnRWZXJzaW9uIjoiMS4wIiwib3NzIjp7ImJ1Y2tldCI6eyJhcm4iOiJhY3M6b3NzOnVzLWVhc3QtMTowMDAwMDAwMDAwMDA6ZGF0YSIsIm5hbWUiOiJkYXRhIiwib3duZXJJZGVudGl0eSI6IjAwMDAwMDAwMDAwMCJ9LCJvYmplY3QiOnsiZGVsdGFTaXplIjoxLCJlVGFnIjoiZDQxZDhjZDk4ZjAwYjIwNGU5ODAwOTk4ZWNmODQyN2UiLCJrZXkiOiJ0ZWFtLTEvcGFydC0xIiwic2l6ZSI6MX0sIm9zc1NjaGVtYVZlcnNpb24iOiIxLjAiLCJydWxlSWQiOiJ1cGxvYWRzIn0sInJlZ2lvbiI6InVzLWVhc3QtMSJ9XX0=');
INSERT INTO "queue_bodies" VALUES(6,'eyJldmVudHMiOlt7ImV2ZW50TmFtZSI6Ik9iamVjdENyZWF0ZWQ6UHV0T2JqZWN0IiwiZXZlbnRTb3VyY2UiOiJhY3M6b3NzIiwiZXZlbnRUaW1lIjoiMjAyNi0xMS0yMlQwODowMDowMC4xMjNaIiwiZXZlbnRWZXJzaW9uIjoiMS4wIiwib3NzIjp7ImJ1Y2tldCI6eyJhcm4iOiJhY3M6b3NzOnVzLWVhc3QtMTowMDAwMDAwMDAwMDA6ZGF0YSIsIm5hbWUiOiJkYXRhIiwib3duZXJJZGVudGl0eSI6IjAwMDAwMDAwMDAwMCJ9LCJvYmplY3QiOnsiZGVsdGFTaXplIjoxLCJlVGFnIjoiZDQxZDhjZDk4ZjAwYjIwNGU5ODAwOTk4ZWNmODQyN2UiLCJrZXkiOiJ0ZWFtLTEvcGFydC0yIiwic2l6ZSI6MX0sIm9zc1NjaGVtYVZlcnNpb24iOiIxLjAiLCJydWxlSWQiOiJ1cGxvYWRzIn0sInJlZ2lvbiI6InVzLWVhc3QtMSJ9XX0=');
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
INSERT INTO "queue_messages" VALUES(5,1,8,1795366410224,1795366378072,1795366380224,1,7671549072339225497,X'E2EEE630B7B5787D71B146CBA5E9975A');
INSERT INTO "queue_messages" VALUES(6,1,8,1795366378072,1795366378072,NULL,0,NULL,X'A2721EDF9B0784E67FEE8EB15CFB0CE2');
CREATE TABLE queues (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT UNIQUE,
    attributes TEXT NOT NULL,
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    messages INTEGER NOT NULL DEFAULT 0
);
INSERT INTO "queues" VALUES(1,'orders','{"DelaySeconds":0,"MaximumMessageSize":65536,"MessageRetentionPeriod":345600,"VisibilityTimeout":30,"PollingWaitSeconds":0,"LoggingEnabled":false}',1795366375788,1795366375788,2);
CREATE TABLE routes (
    id INTEGER PRIMARY KEY,
    product TEXT NOT NULL,
    rule TEXT NOT NULL,
    topic TEXT NOT NULL,
    subscription TEXT NOT NULL,
    UNIQUE (product, rule, topic, subscription)
);
INSERT INTO "routes" VALUES(1,'oss','uploads','mns-en-topics-oss-uploads-1795366375837020','mns-en-subs-oss-uploads-1-1795366375837020');
INSERT INTO "routes" VALUES(2,'oss','gone','mns-en-topics-oss-gone-1795366375884461','mns-en-subs-oss-gone-1-1795366375884461');
INSERT INTO "routes" VALUES(3,'oss','hooks','mns-en-topics-oss-hooks-1795366375848560','mns-en-subs-oss-hooks-1-1795366375848560');
CREATE TABLE rules (product TEXT NOT NULL, name TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (product, name)) WITHOUT ROWID;
INSERT INTO "rules" VALUES('oss','gone','{"product":"oss","name":"gone","event_types":["ObjectCreated:*"],"resources":{"AnyOf":[[{"negated":false,"pattern":{"Ends":{"prefix":"data/team-3/","suffix":""}}}]]},"endpoints":[{"kind":"http","value":"http://127.0.0.1:19472/hook"}],"enabled":true,"topic":"mns-en-topics-oss-gone-1795366375884461","created":1795366375884}');
INSERT INTO "rules" VALUES('oss','hooks','{"product":"oss","name":"hooks","event_types":["ObjectCreated:*"],"resources":{"AnyOf":[[{"negated":false,"pattern":{"Ends":{"prefix":"data/team-2/","suffix":""}}}]]},"endpoints":[{"kind":"http","value":"http://127.0.0.1:19999/hook"}],"enabled":true,"topic":"mns-en-topics-oss-hooks-1795366375848560","created":1795366375848}');
INSERT INTO "rules" VALUES('oss','uploads','{"product":"oss","name":"uploads","event_types":["ObjectCreated:*"],"resources":{"AnyOf":[[{"negated":false,"pattern":{"Ends":{"prefix":"data/team-1/","suffix":""}}}]]},"endpoints":[{"kind":"queue","value":"orders"}],"enabled":true,"topic":"mns-en-topics-oss-uploads-1795366375837020","created":1795366375837}');
CREATE TABLE stage_attempts (seq INTEGER PRIMARY KEY, count INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE TABLE stage_messages (
    seq INTEGER PRIMARY KEY,
    stage INTEGER NOT NULL,
    grp INTEGER NOT NULL,
    due INTEGER NOT NULL,
    enqueued INTEGER NOT NULL,
    body TEXT NOT NULL
);
INSERT INTO "stage_messages" VALUES(7,2,-8230337441791673004,1795366389753,1795366378204,'{"v":1,"items":[{"topic":"mns-en-topics-oss-hooks-1795366375848560","subscription":"mns-en-subs-oss-hooks-1-1795366375848560","version":3,"notification":{"message_id":"F0C41FE24257C168D333F8101E1B4839","product":"oss","rule":"hooks","event_type":"ObjectCreated:PutObject","resource":"data/team-2/part-3","body":"eyJldmVudHMiOlt7ImV2ZW50TmFtZSI6Ik9iamVjdENyZWF0ZWQ6UHV0T2JqZWN0IiwiZXZlbnRTb3VyY2UiOiJhY3M6b3NzIiwiZXZlbnRUaW1lIjoiMjAyNi0xMS0yMlQwODowMDowMC4xMjNaIiwiZXZlbnRWZXJzaW9uIjoiMS4wIiwib3NzIjp7ImJ1Y2tldCI6eyJhcm4iOiJhY3M6b3NzOnVzLWVhc3QtMTowMDAwMDAwMDAwMDA6ZGF0YSIsIm5hbWUiOiJkYXRhIiwib3duZXJJZGVudGl0eSI6IjAwMDAwMDAwMDAwMCJ9LCJvYmplY3QiOnsiZGVsdGFTaXplIjoxLCJlVGFnIjoiZDQxZDhjZDk4ZjAwYjIwNGU5ODAwOTk4ZWNmODQyN2UiLCJrZXkiOiJ0ZWFtLTIvcGFydC0zIiwic2l6ZSI6MX0sIm9zc1NjaGVtYVZlcnNpb24iOiIxLjAiLCJydWxlSWQiOiJob29rcyJ9LCJyZWdpb24iOiJ1cy1lYXN0LTEifV19","published":1795366378056},"attempts":1,"history":[{"at":1795366378136,"took_ms":24,"class":"retry","detail":"no connection: 127.0.0.1:19999: Connection refused (os error 111)"}]}]}');
CREATE TABLE subscriptions (topic TEXT NOT NULL, name TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (topic, name)) WITHOUT ROWID;
INSERT INTO "subscriptions" VALUES('mns-en-topics-oss-gone-1795366375884461','mns-en-subs-oss-gone-1-1795366375884461','{"topic":"mns-en-topics-oss-gone-1795366375884461","name":"mns-en-subs-oss-gone-1-1795366375884461","target":{"http":"http://127.0.0.1:19472/hook"},"auto_made":true,"strategy":"BACKOFF_RETRY","format":"SIMPLIFIED","timeout_seconds":5,"created":1795366375884,"modified":1795366375884}');
INSERT INTO "subscriptions" VALUES('mns-en-topics-oss-hooks-1795366375848560','mns-en-subs-oss-hooks-1-1795366375848560','{"topic":"mns-en-topics-oss-hooks-1795366375848560","name":"mns-en-subs-oss-hooks-1-1795366375848560","target":{"http":"http://127.0.0.1:19999/hook"},"auto_made":true,"strategy":"BACKOFF_RETRY","format":"SIMPLIFIED","timeout_seconds":5,"created":1795366375848,"modified":1795366375848}');
INSERT INTO "subscriptions" VALUES('mns-en-topics-oss-uploads-1795366375837020','mns-en-subs-oss-uploads-1-1795366375837020','{"topic":"mns-en-topics-oss-uploads-1795366375837020","name":"mns-en-subs-oss-uploads-1-1795366375837020","target":{"queue":"orders"},"auto_made":true,"strategy":"BACKOFF_RETRY","format":"SIMPLIFIED","timeout_seconds":5,"created":1795366375837,"modified":1795366375837}');
CREATE TABLE topics (name TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "topics" VALUES('mns-en-topics-oss-gone-1795366375884461','{"name":"mns-en-topics-oss-gone-1795366375884461","made_for":["oss","gone"],"created":1795366375884,"modified":1795366375884,"max_message_size":65536,"logging":false}');
INSERT INTO "topics" VALUES('mns-en-topics-oss-hooks-1795366375848560','{"name":"mns-en-topics-oss-hooks-1795366375848560","made_for":["oss","hooks"],"created":1795366375848,"modified":1795366375848,"max_message_size":65536,"logging":false}');
INSERT INTO "topics" VALUES('mns-en-topics-oss-uploads-1795366375837020','{"name":"mns-en-topics-oss-uploads-1795366375837020","made_for":["oss","uploads"],"created":1795366375837,"modified":1795366375837,"max_message_size":65536,"logging":false}');
CREATE INDEX queue_order ON queue_messages (queue, priority, due);
CREATE INDEX queue_age ON queue_messages (queue, enqueued);
CREATE INDEX stage_order ON stage_messages (stage, grp, due);
CREATE INDEX dead_letters_rule ON dead_letters (rule) WHERE rule IS NOT NULL;
CREATE INDEX dead_letters_topic ON dead_letters (topic, subscription) WHERE topic IS NOT NULL;
CREATE INDEX dead_letters_message ON dead_letters (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX attempts_route ON attempts (route);
CREATE INDEX attempts_message ON attempts (message_id);
CREATE INDEX attempts_failed ON attempts (class) WHERE class <> 0;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('queues',1);
INSERT INTO "sqlite_sequence" VALUES('dead_letters',1);
INSERT INTO "sqlite_sequence" VALUES('attempts',4);
COMMIT;
