-- Every series that ever had a value. `last_at`: its latest value, to the minute.
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    region TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    dimensions TEXT NOT NULL,
    last_at REAL NOT NULL,
    UNIQUE (region, namespace, name, dimensions)
);

-- What is kept of the values of a stretch of time. Of period 0 there is one, with all values there ever were: a counter.
CREATE TABLE cells (
    series INTEGER NOT NULL,
    period INTEGER NOT NULL,
    start INTEGER NOT NULL,
    unit TEXT NOT NULL,
    count REAL NOT NULL,
    total REAL NOT NULL,
    least REAL NOT NULL,
    greatest REAL NOT NULL,
    histogram TEXT NOT NULL,
    PRIMARY KEY (series, period, start, unit)
) WITHOUT ROWID;

-- How far each ring of finished invocations is in the cells.
CREATE TABLE offsets (
    ring TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) WITHOUT ROWID;
