BEGIN TRANSACTION;
CREATE TABLE events (
            job TEXT NOT NULL,
            id INTEGER NOT NULL,
            name TEXT NOT NULL,
            data TEXT NOT NULL,
            PRIMARY KEY (job, id)
        ) WITHOUT ROWID;
INSERT INTO "events" VALUES('job_05c1a30119be',1,'training.failed','{"type":"training.failed","jobId":"job_05c1a30119be","timestamp":"2026-11-26T11:10:13.108Z","error":"out of memory"}');
INSERT INTO "events" VALUES('job_559b60ca5df4',1,'training.log','{"type":"training.log","jobId":"job_559b60ca5df4","timestamp":"2026-11-26T11:10:13.108Z","step":1,"loss":2.5}');
INSERT INTO "events" VALUES('job_6e54aedfe11c',1,'training.cancelled','{"type":"training.cancelled","jobId":"job_6e54aedfe11c","timestamp":"2026-11-26T11:10:13.108Z"}');
INSERT INTO "events" VALUES('job_db4f12b9e69e',1,'training.started','{"type":"training.started","jobId":"job_db4f12b9e69e","timestamp":"2026-11-26T11:10:13.107Z","metadata":{"totalSteps":2}}');
INSERT INTO "events" VALUES('job_db4f12b9e69e',2,'training.log','{"type":"training.log","jobId":"job_db4f12b9e69e","timestamp":"2026-11-26T11:10:13.107Z","step":1,"loss":2.0}');
INSERT INTO "events" VALUES('job_db4f12b9e69e',3,'training.log','{"type":"training.log","jobId":"job_db4f12b9e69e","timestamp":"2026-11-26T11:10:13.107Z","step":2,"loss":1.0}');
INSERT INTO "events" VALUES('job_db4f12b9e69e',4,'training.log','{"type":"training.log","jobId":"job_db4f12b9e69e","timestamp":"2026-11-26T11:10:13.107Z","step":2,"evalLoss":1.5}');
INSERT INTO "events" VALUES('job_db4f12b9e69e',5,'training.completed','{"type":"training.completed","jobId":"job_db4f12b9e69e","timestamp":"2026-11-26T11:10:13.108Z","artifacts":[{"kind":"adapter","name":"final","bytes":64,"path":"/data/jobs/job_db4f12b9e69e/final"}]}');
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
        , settings TEXT, notes TEXT NOT NULL DEFAULT '', tags TEXT NOT NULL DEFAULT '[]', starred INTEGER NOT NULL DEFAULT 0, place INTEGER, forecast TEXT, pause TEXT, resume TEXT, parent TEXT, evaluation TEXT, resumable INTEGER);
INSERT INTO "jobs" VALUES(1,'job_db4f12b9e69e','complèted','completed','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}',NULL,'2026-11-26T11:10:13.107Z','2026-11-26T11:10:13.107Z','2026-11-26T11:10:13.108Z','{"totalSteps":2,"step":2,"loss":1.0,"evalLoss":1.5,"bestEvalLoss":1.5}',NULL,'','[]',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(2,'job_05c1a30119be','failed','failed','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}','out of memory','2026-11-26T11:10:13.108Z','2026-11-26T11:10:13.108Z','2026-11-26T11:10:13.108Z','{}',NULL,'','[]',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(3,'job_6e54aedfe11c','cancelled','cancelled','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}',NULL,'2026-11-26T11:10:13.108Z',NULL,'2026-11-26T11:10:13.108Z','{}',NULL,'','[]',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(4,'job_559b60ca5df4','running','running','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}',NULL,'2026-11-26T11:10:13.108Z','2026-11-26T11:10:13.108Z',NULL,'{"step":1,"loss":2.5}',NULL,'','[]',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(5,'job_e225f84b8965','queued','queued','{"model":"starter","datasetSource":{"type":"blob","url":"https://example.org/chats.jsonl","token":"s3cret"},"maxSteps":2}',NULL,'2026-11-26T11:10:13.108Z',NULL,NULL,'{}',NULL,'','[]',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('projectId','prj_cb87814e2fbf');
INSERT INTO "meta" VALUES('writtenBy','0.1.0');
CREATE TABLE removed (job TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE INDEX jobs_unfinished ON jobs (status, seq)
            WHERE status IN ('queued', 'running');
CREATE INDEX jobs_placed ON jobs (place) WHERE place IS NOT NULL;
CREATE INDEX jobs_waiting ON jobs (coalesce(place, seq)) WHERE status = 'queued';
COMMIT;
PRAGMA user_version = 5;
