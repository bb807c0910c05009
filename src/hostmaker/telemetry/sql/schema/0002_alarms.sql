-- Alarms as they were put, and the state each is in (JSON of domain.alarm).
CREATE TABLE alarms (
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    definition TEXT NOT NULL,
    status TEXT NOT NULL,
    PRIMARY KEY (region, name)
) WITHOUT ROWID;

-- What happened to alarms, in order; it outlives them. `at` in Unix seconds.
CREATE TABLE alarm_history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    alarm_kind TEXT NOT NULL,
    kind TEXT NOT NULL,
    at REAL NOT NULL,
    summary TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX alarm_history_of_alarm ON alarm_history (region, name, id);
CREATE INDEX alarm_history_at ON alarm_history (at);
