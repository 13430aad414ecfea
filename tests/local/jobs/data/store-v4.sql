BEGIN TRANSACTION;
CREATE TABLE events (
            job TEXT NOT NULL,
            id INTEGER NOT NULL,
            name TEXT NOT NULL,
            data TEXT NOT NULL,
            PRIMARY KEY (job, id)
        ) WITHOUT ROWID;
INSERT INTO "events" VALUES('job_253289f79ed1',1,'training.cancelled','{"type":"training.cancelled","jobId":"job_253289f79ed1","timestamp":"2026-11-26T04:02:53.974Z"}');
INSERT INTO "events" VALUES('job_8cf28a29e986',1,'training.started','{"type":"training.started","jobId":"job_8cf28a29e986","timestamp":"2026-11-26T04:02:53.973Z","metadata":{"totalSteps":2}}');
INSERT INTO "events" VALUES('job_8cf28a29e986',2,'training.log','{"type":"training.log","jobId":"job_8cf28a29e986","timestamp":"2026-11-26T04:02:53.973Z","step":1,"loss":2.0}');
INSERT INTO "events" VALUES('job_8cf28a29e986',3,'training.log','{"type":"training.log","jobId":"job_8cf28a29e986","timestamp":"2026-11-26T04:02:53.973Z","step":2,"loss":1.0}');
INSERT INTO "events" VALUES('job_8cf28a29e986',4,'training.log','{"type":"training.log","jobId":"job_8cf28a29e986","timestamp":"2026-11-26T04:02:53.973Z","step":2,"evalLoss":1.5}');
INSERT INTO "events" VALUES('job_8cf28a29e986',5,'training.completed','{"type":"training.completed","jobId":"job_8cf28a29e986","timestamp":"2026-11-26T04:02:53.974Z","artifacts":[{"kind":"adapter","name":"final","bytes":64,"path":"/data/jobs/job_8cf28a29e986/final"}]}');
INSERT INTO "events" VALUES('job_aa215ee5afc4',1,'training.log','{"type":"training.log","jobId":"job_aa215ee5afc4","timestamp":"2026-11-26T04:02:53.974Z","step":1,"loss":2.5}');
INSERT INTO "events" VALUES('job_bb576101243b',1,'training.failed','{"type":"training.failed","jobId":"job_bb576101243b","timestamp":"2026-11-26T04:02:53.974Z","error":"out of memory"}');
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
        , settings TEXT, notes TEXT NOT NULL DEFAULT '', tags TEXT NOT NULL DEFAULT '[]', starred INTEGER NOT NULL DEFAULT 0, place INTEGER, forecast TEXT);
INSERT INTO "jobs" VALUES(1,'job_8cf28a29e986','complèted','completed','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}',NULL,'2026-11-26T04:02:53.973Z','2026-11-26T04:02:53.973Z','2026-11-26T04:02:53.974Z','{"totalSteps":2,"step":2,"loss":1.0,"evalLoss":1.5,"bestEvalLoss":1.5}',NULL,'','[]',0,NULL,NULL);
INSERT INTO "jobs" VALUES(2,'job_bb576101243b','failed','failed','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}','out of memory','2026-11-26T04:02:53.974Z','2026-11-26T04:02:53.974Z','2026-11-26T04:02:53.974Z','{}',NULL,'','[]',0,NULL,NULL);
INSERT INTO "jobs" VALUES(3,'job_253289f79ed1','cancelled','cancelled','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}',NULL,'2026-11-26T04:02:53.974Z',NULL,'2026-11-26T04:02:53.974Z','{}',NULL,'','[]',0,NULL,NULL);
INSERT INTO "jobs" VALUES(4,'job_aa215ee5afc4','running','running','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}',NULL,'2026-11-26T04:02:53.974Z','2026-11-26T04:02:53.974Z',NULL,'{"step":1,"loss":2.5}',NULL,'','[]',0,NULL,NULL);
INSERT INTO "jobs" VALUES(5,'job_d9be95013ff8','queued','queued','{"model":"starter","datasetSource":{"type":"blob","url":"https://example.org/chats.jsonl","token":"s3cret"},"maxSteps":2}',NULL,'2026-11-26T04:02:53.974Z',NULL,NULL,'{}',NULL,'','[]',0,NULL,NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('projectId','prj_8d98b8da20e8');
INSERT INTO "meta" VALUES('writtenBy','0.1.0');
CREATE TABLE removed (job TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE INDEX jobs_unfinished ON jobs (status, seq)
            WHERE status IN ('queued', 'running');
CREATE INDEX jobs_placed ON jobs (place) WHERE place IS NOT NULL;
CREATE INDEX jobs_waiting ON jobs (coalesce(place, seq)) WHERE status = 'queued';
COMMIT;
PRAGMA user_version = 4;
