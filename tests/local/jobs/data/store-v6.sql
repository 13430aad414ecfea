BEGIN TRANSACTION;
CREATE TABLE deployments (
            id TEXT PRIMARY KEY,
            slug TEXT NOT NULL UNIQUE,
            target TEXT NOT NULL,
            auth TEXT NOT NULL,
            enabled INTEGER NOT NULL,
            retention TEXT NOT NULL,
            days INTEGER,
            created TEXT NOT NULL,
            updated TEXT NOT NULL
        ) WITHOUT ROWID;
CREATE TABLE endpoint_keys (
            id TEXT PRIMARY KEY,
            deployment TEXT NOT NULL,
            label TEXT NOT NULL,
            prefix TEXT NOT NULL,
            hash BLOB NOT NULL,
            created TEXT NOT NULL,
            used TEXT
        ) WITHOUT ROWID;
CREATE TABLE endpoint_requests (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            deployment TEXT NOT NULL,
            at TEXT NOT NULL,
            call TEXT NOT NULL,
            status INTEGER NOT NULL,
            key TEXT,
            stream INTEGER NOT NULL,
            prompt INTEGER NOT NULL,
            completion INTEGER NOT NULL,
            first REAL,
            seconds REAL NOT NULL,
            error TEXT,
            said TEXT
        );
CREATE TABLE events (
            job TEXT NOT NULL,
            id INTEGER NOT NULL,
            name TEXT NOT NULL,
            data TEXT NOT NULL,
            PRIMARY KEY (job, id)
        ) WITHOUT ROWID;
INSERT INTO "events" VALUES('job_21ce0e5be9d0',1,'training.failed','{"type":"training.failed","jobId":"job_21ce0e5be9d0","timestamp":"2026-11-28T21:32:28.937Z","error":"out of memory"}');
INSERT INTO "events" VALUES('job_326a7898c6b1',1,'training.cancelled','{"type":"training.cancelled","jobId":"job_326a7898c6b1","timestamp":"2026-11-28T21:32:28.937Z"}');
INSERT INTO "events" VALUES('job_399621dfbb7f',1,'training.log','{"type":"training.log","jobId":"job_399621dfbb7f","timestamp":"2026-11-28T21:32:28.937Z","step":1,"loss":2.5}');
INSERT INTO "events" VALUES('job_4fd065b558d1',1,'training.started','{"type":"training.started","jobId":"job_4fd065b558d1","timestamp":"2026-11-28T21:32:28.936Z","metadata":{"totalSteps":2}}');
INSERT INTO "events" VALUES('job_4fd065b558d1',2,'training.log','{"type":"training.log","jobId":"job_4fd065b558d1","timestamp":"2026-11-28T21:32:28.936Z","step":1,"loss":2.0}');
INSERT INTO "events" VALUES('job_4fd065b558d1',3,'training.log','{"type":"training.log","jobId":"job_4fd065b558d1","timestamp":"2026-11-28T21:32:28.936Z","step":2,"loss":1.0}');
INSERT INTO "events" VALUES('job_4fd065b558d1',4,'training.log','{"type":"training.log","jobId":"job_4fd065b558d1","timestamp":"2026-11-28T21:32:28.936Z","step":2,"evalLoss":1.5}');
INSERT INTO "events" VALUES('job_4fd065b558d1',5,'training.completed','{"type":"training.completed","jobId":"job_4fd065b558d1","timestamp":"2026-11-28T21:32:28.936Z","artifacts":[{"kind":"adapter","name":"final","bytes":64,"path":"/data/jobs/job_4fd065b558d1/final"}]}');
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
INSERT INTO "jobs" VALUES(1,'job_4fd065b558d1','complèted','completed','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}',NULL,'2026-11-28T21:32:28.935Z','2026-11-28T21:32:28.936Z','2026-11-28T21:32:28.936Z','{"totalSteps":2,"step":2,"loss":1.0,"evalLoss":1.5,"bestEvalLoss":1.5}',NULL,'','[]',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(2,'job_21ce0e5be9d0','failed','failed','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}','out of memory','2026-11-28T21:32:28.936Z','2026-11-28T21:32:28.937Z','2026-11-28T21:32:28.937Z','{}',NULL,'','[]',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(3,'job_326a7898c6b1','cancelled','cancelled','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}',NULL,'2026-11-28T21:32:28.937Z',NULL,'2026-11-28T21:32:28.937Z','{}',NULL,'','[]',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(4,'job_399621dfbb7f','running','running','{"model":"starter","datasetSource":{"type":"file","path":"data/chats.jsonl"},"maxSteps":2}',NULL,'2026-11-28T21:32:28.937Z','2026-11-28T21:32:28.937Z',NULL,'{"step":1,"loss":2.5}',NULL,'','[]',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(5,'job_ac4c06cd1ed8','queued','queued','{"model":"starter","datasetSource":{"type":"blob","url":"https://example.org/chats.jsonl","token":"s3cret"},"maxSteps":2}',NULL,'2026-11-28T21:32:28.937Z',NULL,NULL,'{}',NULL,'','[]',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('projectId','prj_dfd7deb38f4d');
INSERT INTO "meta" VALUES('writtenBy','0.1.0');
CREATE TABLE removed (job TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE INDEX jobs_unfinished ON jobs (status, seq)
            WHERE status IN ('queued', 'running');
CREATE INDEX jobs_placed ON jobs (place) WHERE place IS NOT NULL;
CREATE INDEX jobs_waiting ON jobs (coalesce(place, seq)) WHERE status = 'queued';
CREATE INDEX endpoint_requests_newest ON endpoint_requests (deployment, seq);
CREATE INDEX endpoint_requests_kept ON endpoint_requests (deployment, at) WHERE said IS NOT NULL;
DELETE FROM "sqlite_sequence";
COMMIT;
PRAGMA user_version = 6;
