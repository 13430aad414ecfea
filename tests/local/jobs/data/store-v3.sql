BEGIN TRANSACTION;
CREATE TABLE events (
            job TEXT NOT NULL,
            id INTEGER NOT NULL,
            name TEXT NOT NULL,
            data TEXT NOT NULL,
            PRIMARY KEY (job, id)
        ) WITHOUT ROWID;
INSERT INTO "events" VALUES('job_00f36befe357',1,'training.failed','{"type":"training.failed","jobId":"job_00f36befe357","timestamp":"2026-11-26T00:08:06.118Z","error":"out of memory"}');
INSERT INTO "events" VALUES('job_37e567dfd625',1,'training.log','{"type":"training.log","jobId":"job_37e567dfd625","timestamp":"2026-11-26T00:08:06.119Z","step":1,"loss":2.5}');
INSERT INTO "events" VALUES('job_d19ec3447508',1,'training.cancelled','{"type":"training.cancelled","jobId":"job_d19ec3447508","timestamp":"2026-11-26T00:08:06.118Z"}');
INSERT INTO "events" VALUES('job_e44c17432a91',1,'training.started','{"type":"training.started","jobId":"job_e44c17432a91","timestamp":"2026-11-26T00:08:06.118Z","metadata":{"totalSteps":2}}');
INSERT INTO "events" VALUES('job_e44c17432a91',2,'training.log','{"type":"training.log","jobId":"job_e44c17432a91","timestamp":"2026-11-26T00:08:06.118Z","step":1,"loss":2.0}');
INSERT INTO "events" VALUES('job_e44c17432a91',3,'training.log','{"type":"training.log","jobId":"job_e44c17432a91","timestamp":"2026-11-26T00:08:06.118Z","step":2,"loss":1.0}');
INSERT INTO "events" VALUES('job_e44c17432a91',4,'training.log','{"type":"training.log","jobId":"job_e44c17432a91","timestamp":"2026-11-26T00:08:06.118Z","step":2,"evalLoss":1.5}');
INSERT INTO "events" VALUES('job_e44c17432a91',5,'training.completed','{"type":"training.completed","jobId":"job_e44c17432a91","timestamp":"2026-11-26T00:08:06.118Z","artifacts":[{"kind":"adapter","name":"final","bytes":64,"path":"/data/jobs/job_e44c17432a91/final"}]}');
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
        , settings TEXT, notes TEXT NOT NULL DEFAULT '', tags TEXT NOT NULL DEFAULT '[]', starred INTEGER NOT NULL DEFAULT 0, place INTEGER);
INSERT INTO "jobs" VALUES(1,'job_e44c17432a91','complèted','completed','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}',NULL,'2026-11-26T00:08:06.118Z','2026-11-26T00:08:06.118Z','2026-11-26T00:08:06.118Z','{"totalSteps":2,"step":2,"loss":1.0,"evalLoss":1.5,"bestEvalLoss":1.5}',NULL,'','[]',0,NULL);
INSERT INTO "jobs" VALUES(2,'job_00f36befe357','failed','failed','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}','out of memory','2026-11-26T00:08:06.118Z','2026-11-26T00:08:06.118Z','2026-11-26T00:08:06.118Z','{}',NULL,'','[]',0,NULL);
INSERT INTO "jobs" VALUES(3,'job_d19ec3447508','cancelled','cancelled','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}',NULL,'2026-11-26T00:08:06.118Z',NULL,'2026-11-26T00:08:06.118Z','{}',NULL,'','[]',0,NULL);
INSERT INTO "jobs" VALUES(4,'job_37e567dfd625','running','running','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}',NULL,'2026-11-26T00:08:06.118Z','2026-11-26T00:08:06.119Z',NULL,'{"step":1,"loss":2.5}',NULL,'','[]',0,NULL);
INSERT INTO "jobs" VALUES(5,'job_3d270cb3249b','queued','queued','{"model":"starter","datasetSource":{"type":"blob","url":"https://example.org/chats.jsonl","token":"s3cret"},"maxSteps":2}',NULL,'2026-11-26T00:08:06.119Z',NULL,NULL,'{}',NULL,'','[]',0,NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('projectId','prj_48384087fc27');
INSERT INTO "meta" VALUES('writtenBy','0.1.0');
CREATE TABLE removed (job TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE INDEX jobs_unfinished ON jobs (status, seq)
            WHERE status IN ('queued', 'running');
CREATE INDEX jobs_placed ON jobs (place) WHERE place IS NOT NULL;
CREATE INDEX jobs_waiting ON jobs (coalesce(place, seq)) WHERE status = 'queued';
COMMIT;
PRAGMA user_version = 3;
