BEGIN TRANSACTION;
CREATE TABLE events (
    job TEXT NOT NULL,
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (job, id)
) WITHOUT ROWID;
INSERT INTO "events" VALUES('job_54b428d31c6b',1,'training.failed','{"type":"training.failed","jobId":"job_54b428d31c6b","timestamp":"2026-11-25T20:42:22.440Z","error":"out of memory"}');
INSERT INTO "events" VALUES('job_59f85654dd64',1,'training.started','{"type":"training.started","jobId":"job_59f85654dd64","timestamp":"2026-11-25T20:42:22.439Z","metadata":{"totalSteps":2}}');
INSERT INTO "events" VALUES('job_59f85654dd64',2,'training.log','{"type":"training.log","jobId":"job_59f85654dd64","timestamp":"2026-11-25T20:42:22.439Z","step":1,"loss":2.0}');
INSERT INTO "events" VALUES('job_59f85654dd64',3,'training.log','{"type":"training.log","jobId":"job_59f85654dd64","timestamp":"2026-11-25T20:42:22.439Z","step":2,"loss":1.0}');
INSERT INTO "events" VALUES('job_59f85654dd64',4,'training.log','{"type":"training.log","jobId":"job_59f85654dd64","timestamp":"2026-11-25T20:42:22.440Z","step":2,"evalLoss":1.5}');
INSERT INTO "events" VALUES('job_59f85654dd64',5,'training.completed','{"type":"training.completed","jobId":"job_59f85654dd64","timestamp":"2026-11-25T20:42:22.440Z","artifacts":[{"kind":"adapter","name":"final","bytes":64,"path":"/data/jobs/job_59f85654dd64/final"}]}');
INSERT INTO "events" VALUES('job_5cc8c470233e',1,'training.cancelled','{"type":"training.cancelled","jobId":"job_5cc8c470233e","timestamp":"2026-11-25T20:42:22.440Z"}');
INSERT INTO "events" VALUES('job_7622acabd6dc',1,'training.log','{"type":"training.log","jobId":"job_7622acabd6dc","timestamp":"2026-11-25T20:42:22.440Z","step":1,"loss":2.5}');
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    config TEXT NOT NULL,
    error TEXT,
    created TEXT NOT NULL,
    started TEXT,
    completed TEXT,
    metrics TEXT NOT NULL DEFAULT '{}'
);
INSERT INTO "jobs" VALUES(1,'job_59f85654dd64','complèted','completed','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}',NULL,'2026-11-25T20:42:22.439Z','2026-11-25T20:42:22.439Z','2026-11-25T20:42:22.440Z','{"totalSteps":2,"step":2,"loss":1.0,"evalLoss":1.5,"bestEvalLoss":1.5}');
INSERT INTO "jobs" VALUES(2,'job_54b428d31c6b','failed','failed','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}','out of memory','2026-11-25T20:42:22.440Z','2026-11-25T20:42:22.440Z','2026-11-25T20:42:22.440Z','{}');
INSERT INTO "jobs" VALUES(3,'job_5cc8c470233e','cancelled','cancelled','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}',NULL,'2026-11-25T20:42:22.440Z',NULL,'2026-11-25T20:42:22.440Z','{}');
INSERT INTO "jobs" VALUES(4,'job_7622acabd6dc','running','running','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}',NULL,'2026-11-25T20:42:22.440Z','2026-11-25T20:42:22.440Z',NULL,'{"step":1,"loss":2.5}');
INSERT INTO "jobs" VALUES(5,'job_4cd630d61645','queued','queued','{"model":"starter","datasetSource":{"type":"blob","url":"https://example.org/chats.jsonl","token":"s3cret"},"maxSteps":2}',NULL,'2026-11-25T20:42:22.440Z',NULL,NULL,'{}');
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('projectId','prj_f732f0f241b2');
CREATE INDEX jobs_unfinished ON jobs (status, seq) WHERE status IN ('queued', 'running');
COMMIT;
PRAGMA user_version = 0;
