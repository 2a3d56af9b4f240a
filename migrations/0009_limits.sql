-- The last time that anybody who executes read: when the clock is behind it, it was set back, and what waits for a time is
-- moved along.
CREATE TABLE clock (
    name TEXT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL
);

-- News that can't be told are tried again later, so that they don't keep others waiting.
ALTER TABLE news ADD COLUMN attempts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE news ADD COLUMN not_before BIGINT NOT NULL DEFAULT 0;
ALTER TABLE news ADD COLUMN error TEXT;
