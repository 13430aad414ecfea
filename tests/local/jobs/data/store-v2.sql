BEGIN TRANSACTION;
CREATE TABLE events (
            job TEXT NOT NULL,
            id INTEGER NOT NULL,
            name TEXT NOT NULL,
            data TEXT NOT NULL,
            PRIMARY KEY (job, id)
        ) WITHOUT ROWID;
INSERT INTO "events" VALUES('job_be106d0d0480',1,'training.failed','{"type":"training.failed","jobId":"job_be106d0d0480","timestamp":"2026-11-25T23:34:32.289Z","error":"out of memory"}');
INSERT INTO "events" VALUES('job_c10e34b5656b',1,'training.log','{"type":"training.log","jobId":"job_c10e34b5656b","timestamp":"2026-11-25T23:34:32.289Z","step":1,"loss":2.5}');
INSERT INTO "events" VALUES('job_cb6b2259d435',1,'training.started','{"type":"training.started","jobId":"job_cb6b2259d435","timestamp":"2026-11-25T23:34:32.288Z","metadata":{"totalSteps":2}}');
INSERT INTO "events" VALUES('job_cb6b2259d435',2,'training.log','{"type":"training.log","jobId":"job_cb6b2259d435","timestamp":"2026-11-25T23:34:32.288Z","step":1,"loss":2.0}');
INSERT INTO "events" VALUES('job_cb6b2259d435',3,'training.log','{"type":"training.log","jobId":"job_cb6b2259d435","timestamp":"2026-11-25T23:34:32.288Z","step":2,"loss":1.0}');
INSERT INTO "events" VALUES('job_cb6b2259d435',4,'training.log','{"type":"training.log","jobId":"job_cb6b2259d435","timestamp":"2026-11-25T23:34:32.288Z","step":2,"evalLoss":1.5}');
INSERT INTO "events" VALUES('job_cb6b2259d435',5,'training.completed','{"type":"training.completed","jobId":"job_cb6b2259d435","timestamp":"2026-11-25T23:34:32.289Z","artifacts":[{"kind":"adapter","name":"final","bytes":64,"path":"/data/jobs/job_cb6b2259d435/final"}]}');
INSERT INTO "events" VALUES('job_f98c1ae40d67',1,'training.cancelled','{"type":"training.cancelled","jobId":"job_f98c1ae40d67","timestamp":"2026-11-25T23:34:32.289Z"}');
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
        , settings TEXT);
INSERT INTO "jobs" VALUES(1,'job_cb6b2259d435','complèted','completed','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}',NULL,'2026-11-25T23:34:32.288Z','2026-11-25T23:34:32.288Z','2026-11-25T23:34:32.289Z','{"totalSteps":2,"step":2,"loss":1.0,"evalLoss":1.5,"bestEvalLoss":1.5}',NULL);
INSERT INTO "jobs" VALUES(2,'job_be106d0d0480','failed','failed','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}','out of memory','2026-11-25T23:34:32.289Z','2026-11-25T23:34:32.289Z','2026-11-25T23:34:32.289Z','{}',NULL);
INSERT INTO "jobs" VALUES(3,'job_f98c1ae40d67','cancelled','cancelled','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}',NULL,'2026-11-25T23:34:32.289Z',NULL,'2026-11-25T23:34:32.289Z','{}',NULL);
INSERT INTO "jobs" VALUES(4,'job_c10e34b5656b','running','running','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}',NULL,'2026-11-25T23:34:32.289Z','2026-11-25T23:34:32.289Z',NULL,'{"step":1,"loss":2.5}',NULL);
INSERT INTO "jobs" VALUES(5,'job_08f4f3ccca20','queued','queued','{"model":"starter","datasetSource":{"type":"blob","url":"https://example.org/chats.jsonl","token":"s3cret"},"maxSteps":2}',NULL,'2026-11-25T23:34:32.289Z',NULL,NULL,'{}',NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('projectId','prj_11090182631f');
INSERT INTO "meta" VALUES('writtenBy','0.1.0');
CREATE INDEX jobs_unfinished ON jobs (status, seq)
            WHERE status IN ('queued', 'running');
COMMIT;
PRAGMA user_version = 2;
