CREATE TABLE models (
    region TEXT NOT NULL, name_lower TEXT NOT NULL, arn TEXT NOT NULL UNIQUE, document TEXT NOT NULL,
    PRIMARY KEY (region, name_lower)
) STRICT;

CREATE TABLE endpoint_configs (
    region TEXT NOT NULL, name_lower TEXT NOT NULL, arn TEXT NOT NULL UNIQUE, document TEXT NOT NULL,
    PRIMARY KEY (region, name_lower)
) STRICT;

CREATE TABLE endpoints (
    uid TEXT NOT NULL PRIMARY KEY, region TEXT NOT NULL, name_lower TEXT NOT NULL, arn TEXT NOT NULL UNIQUE,
    generation INTEGER NOT NULL, desired TEXT NOT NULL, recorded TEXT NOT NULL,
    UNIQUE (region, name_lower)
) STRICT;

-- `place` keeps the order in which keys were first set.
CREATE TABLE tags (
    arn TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, place INTEGER PRIMARY KEY AUTOINCREMENT,
    UNIQUE (arn, key)
) STRICT;

CREATE TABLE counters (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) STRICT;
