-- name: add_model
INSERT INTO models (region, name_lower, arn, document) VALUES (?, ?, ?, ?);
-- name: model
SELECT document FROM models WHERE region = ? AND name_lower = ?;
-- name: models
SELECT document FROM models WHERE region = ?;
-- name: delete_model
DELETE FROM models WHERE region = ? AND name_lower = ? RETURNING arn;

-- name: add_endpoint_config
INSERT INTO endpoint_configs (region, name_lower, arn, document) VALUES (?, ?, ?, ?);
-- name: endpoint_config
SELECT document FROM endpoint_configs WHERE region = ? AND name_lower = ?;
-- name: endpoint_configs
SELECT document FROM endpoint_configs WHERE region = ?;
-- name: delete_endpoint_config
DELETE FROM endpoint_configs WHERE region = ? AND name_lower = ? RETURNING arn;

-- name: add_endpoint
INSERT INTO endpoints (uid, region, name_lower, arn, generation, desired, recorded) VALUES (?, ?, ?, ?, ?, ?, ?);
-- name: endpoint
SELECT uid, desired, recorded FROM endpoints WHERE region = ? AND name_lower = ?;
-- name: endpoints_of_region
SELECT uid, desired, recorded FROM endpoints WHERE region = ? ORDER BY uid;
-- name: endpoints
SELECT uid, desired, recorded FROM endpoints ORDER BY uid;
-- name: put_desired
UPDATE endpoints SET generation = ?, desired = ?, recorded = ? WHERE uid = ?;
-- name: record
UPDATE endpoints SET recorded = ? WHERE uid = ? AND generation = ?;
-- name: forget_endpoint
DELETE FROM endpoints WHERE uid = ? RETURNING arn;
-- name: keep_deployment
INSERT INTO deployments (uid, number, region, endpoint, document)
SELECT uid, ?1, region, name_lower, ?2 FROM endpoints WHERE uid = ?3
ON CONFLICT (uid, number) DO UPDATE SET document = excluded.document;
-- name: deployments
SELECT document FROM deployments WHERE region = ? AND endpoint = ? ORDER BY rowid;
-- name: endpoint_of_uid
SELECT uid, desired, recorded FROM endpoints WHERE uid = ?;
-- name: add_event
INSERT INTO events (region, endpoint, document) VALUES (?, ?, ?) RETURNING number;
-- name: drop_events
DELETE FROM events WHERE number <= ?;
-- name: events
SELECT number, document FROM events
WHERE number > ?1 AND (?3 IS NULL OR region = ?3) AND (?4 IS NULL OR endpoint = ?4) ORDER BY number LIMIT ?2;
-- name: event_numbers
SELECT coalesce(min(number), 0), coalesce(max(number), 0) FROM events;
-- name: next_number
INSERT INTO counters (name, value) VALUES (?, 1)
ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value;

-- name: add_role
INSERT INTO roles (name_lower, document) VALUES (?, ?);
-- name: role
SELECT document FROM roles WHERE name_lower = ?;

-- name: has_arn
SELECT EXISTS (SELECT 1 FROM models WHERE arn = ?1) OR EXISTS (SELECT 1 FROM endpoint_configs WHERE arn = ?1)
    OR EXISTS (SELECT 1 FROM endpoints WHERE arn = ?1);
-- name: tags
SELECT key, value FROM tags WHERE arn = ? ORDER BY place;
-- name: put_tag
INSERT INTO tags (arn, key, value) VALUES (?, ?, ?) ON CONFLICT (arn, key) DO UPDATE SET value = excluded.value;
-- name: delete_tag
DELETE FROM tags WHERE arn = ? AND key = ?;
-- name: delete_tags_of
DELETE FROM tags WHERE arn = ?;
