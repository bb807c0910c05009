-- The record of every deployment, for ever: it outlives its endpoint.
CREATE TABLE deployments (
    uid TEXT NOT NULL, number INTEGER NOT NULL, region TEXT NOT NULL, endpoint TEXT NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (uid, number)
) STRICT;
CREATE INDEX deployments_of_endpoint ON deployments (region, endpoint);

-- Endpoints now keep the config and models of each fleet by themselves.
UPDATE endpoints SET
    desired = json_set(desired, '$.target', json_object(
        'config_name', desired ->> '$.config_name',
        'variants', json(desired -> '$.variants'),
        'sent', json(coalesce(desired -> '$.config_sent', '{}')))),
    recorded = json_set(recorded, '$.fleets', json_object('0', json_object(
        'config_name', desired ->> '$.config_name',
        'variants', json(desired -> '$.variants'),
        'sent', json(coalesce(desired -> '$.config_sent', '{}')),
        'images', json(coalesce(recorded -> '$.images', '{}')))));
