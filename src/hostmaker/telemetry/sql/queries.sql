-- name: all_series
SELECT id, region, namespace, name, dimensions, last_at FROM series;
-- name: add_series
INSERT INTO series (region, namespace, name, dimensions, last_at) VALUES (?, ?, ?, ?, ?) RETURNING id;
-- name: set_last
UPDATE series SET last_at = ? WHERE id = ?;
-- name: forget_cells
DELETE FROM cells WHERE series = ?;
-- name: forget_series
DELETE FROM series WHERE id = ?;

-- name: add_cell
INSERT INTO cells (series, period, start, unit, count, total, least, greatest, histogram)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    count = count + excluded.count,
    total = total + excluded.total,
    least = min(least, excluded.least),
    greatest = max(greatest, excluded.greatest),
    histogram = merge_histograms(histogram, excluded.histogram);
-- name: cells
SELECT start, unit, count, total, least, greatest, histogram FROM cells
WHERE series = ? AND period IN (1, 10, 60, 300, 3600) AND start >= ? AND start < ?;
-- name: plain_cells
SELECT start, unit, count, total, least, greatest FROM cells
WHERE series = ? AND period IN (1, 10, 60, 300, 3600) AND start >= ? AND start < ?;
-- name: has_cell
SELECT 1 FROM cells WHERE series = ? AND period IN (1, 10, 60, 300, 3600) AND start >= ? AND start < ? LIMIT 1;
-- name: totals
SELECT count, total, least, greatest, histogram FROM cells WHERE series = ? AND period = 0;

-- name: oldest
SELECT min(start) FROM cells WHERE series = ? AND period = ?;
-- name: roll_up
INSERT INTO cells (series, period, start, unit, count, total, least, greatest, histogram)
SELECT series, :coarser, start - start % :coarser, unit, count, total, least, greatest, histogram FROM cells
WHERE series = :series AND period = :period AND start < :before
ON CONFLICT DO UPDATE SET
    count = count + excluded.count,
    total = total + excluded.total,
    least = min(least, excluded.least),
    greatest = max(greatest, excluded.greatest),
    histogram = merge_histograms(histogram, excluded.histogram);
-- name: drop_cells
DELETE FROM cells WHERE series = :series AND period = :period AND start < :before;

-- name: offsets
SELECT ring, position FROM offsets;
-- name: set_offset
INSERT OR REPLACE INTO offsets (ring, position) VALUES (?, ?);
-- name: forget_offset
DELETE FROM offsets WHERE ring = ?;
