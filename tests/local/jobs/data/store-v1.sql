BEGIN TRANSACTION;
CREATE TABLE events (
            job TEXT NOT NULL,
            id INTEGER NOT NULL,
            name TEXT NOT NULL,
            data TEXT NOT NULL,
            PRIMARY KEY (job, id)
        ) WITHOUT ROWID;
INSERT INTO "events" VALUES('job_060d4fcd9d5f',1,'training.log','{"type":"training.log","jobId":"job_060d4fcd9d5f","timestamp":"2026-11-25T21:37:52.363Z","step":1,"loss":2.5}');
INSERT INTO "events" VALUES('job_14094054c990',1,'training.started','{"type":"training.started","jobId":"job_14094054c990","timestamp":"2026-11-25T21:37:52.362Z","metadata":{"totalSteps":2}}');
INSERT INTO "events" VALUES('job_14094054c990',2,'training.log','{"type":"training.log","jobId":"job_14094054c990","timestamp":"2026-11-25T21:37:52.362Z","step":1,"loss":2.0}');
INSERT INTO "events" VALUES('job_14094054c990',3,'training.log','{"type":"training.log","jobId":"job_14094054c990","timestamp":"2026-11-25T21:37:52.362Z","step":2,"loss":1.0}');
INSERT INTO "events" VALUES('job_14094054c990',4,'training.log','{"type":"training.log","jobId":"job_14094054c990","timestamp":"2026-11-25T21:37:52.362Z","step":2,"evalLoss":1.5}');
INSERT INTO "events" VALUES('job_14094054c990',5,'training.completed','{"type":"training.completed","jobId":"job_14094054c990","timestamp":"2026-11-25T21:37:52.362Z","artifacts":[{"kind":"adapter","name":"final","bytes":64,"path":"/data/jobs/job_14094054c990/final"}]}');
INSERT INTO "events" VALUES('job_2e60d9356aab',1,'training.cancelled','{"type":"training.cancelled","jobId":"job_2e60d9356aab","timestamp":"2026-11-25T21:37:52.363Z"}');
INSERT INTO "events" VALUES('job_ddd067925303',1,'training.failed','{"type":"training.failed","jobId":"job_ddd067925303","timestamp":"2026-11-25T21:37:52.363Z","error":"out of memory"}');
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
INSERT INTO "jobs" VALUES(1,'job_14094054c990','complèted','completed','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}',NULL,'2026-11-25T21:37:52.362Z','2026-11-25T21:37:52.362Z','2026-11-25T21:37:52.362Z','{"totalSteps":2,"step":2,"loss":1.0,"evalLoss":1.5,"bestEvalLoss":1.5}');
INSERT INTO "jobs" VALUES(2,'job_ddd067925303','failed','failed','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}','out of memory','2026-11-25T21:37:52.362Z','2026-11-25T21:37:52.363Z','2026-11-25T21:37:52.363Z','{}');
INSERT INTO "jobs" VALUES(3,'job_2e60d9356aab','cancelled','cancelled','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}',NULL,'2026-11-25T21:37:52.363Z',NULL,'2026-11-25T21:37:52.363Z','{}');
INSERT INTO "jobs" VALUES(4,'job_060d4fcd9d5f','running','running','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}',NULL,'2026-11-25T21:37:52.363Z','2026-11-25T21:37:52.363Z',NULL,'{"step":1,"loss":2.5}');
INSERT INTO "jobs" VALUES(5,'job_713aa8c29c11','queued','queued','{"model":"starter","datasetSource":{"type":"blob","url":"https://example.org/chats.jsonl","token":"s3cret"},"maxSteps":2}',NULL,'2026-11-25T21:37:52.363Z',NULL,NULL,'{}');
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('projectId','prj_f9dbf52f90e9');
INSERT INTO "meta" VALUES('writtenBy','0.1.0');
CREATE INDEX jobs_unfinished ON jobs (status, seq)
            WHERE status IN ('queued', 'running');
COMMIT;
PRAGMA user_version = 1;
