-- Look-ups by which thousands of alerts of one service are taken at once: those that were not told to be over, and among them
-- those that were only heard in chat.
CREATE INDEX alerts_unended ON alerts (service, last_at) WHERE ended_at IS NULL;
CREATE INDEX alerts_heard ON alerts (service) WHERE heard <> '' AND ended_at IS NULL;
CREATE INDEX alerts_silent ON alerts (service, last_at) WHERE status = 'silent';

-- Where nothing is shifted without a click. `service` is empty for all services. Who ended a pause is in the audit.
CREATE TABLE pauses (
    service TEXT NOT NULL PRIMARY KEY,
    actor TEXT NOT NULL,
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    at BIGINT NOT NULL
);
