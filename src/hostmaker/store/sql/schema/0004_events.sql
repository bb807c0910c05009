-- The newest events of endpoints. Numbers are never used twice, also when the oldest are dropped.
CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, region TEXT NOT NULL, endpoint TEXT NOT NULL, document TEXT NOT NULL
) STRICT;
