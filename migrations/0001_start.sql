-- Runs unchanged on SQLite and PostgreSQL. Times are epoch milliseconds, flags 0 or 1. Only ever add (expand, then
-- contract), so that an older replica or a downgraded bot keeps working.

-- The first statement of a transaction increments `version`: that serialises everything about a service.
CREATE TABLE services (
    id TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);

CREATE TABLE counters (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);

CREATE TABLE releases (
    id BIGINT NOT NULL PRIMARY KEY,
    service TEXT NOT NULL,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    phase TEXT NOT NULL,
    pool TEXT,
    at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    recorded_by TEXT,
    url TEXT,
    irreversible TEXT,
    origin TEXT NOT NULL,
    delivery TEXT NOT NULL,
    UNIQUE (service, delivery)
);
CREATE INDEX releases_by_time ON releases (service, at, id);
CREATE INDEX releases_by_digest ON releases (service, digest);
CREATE INDEX releases_by_pool ON releases (service, pool, at, id);

CREATE TABLE marks (
    service TEXT NOT NULL,
    digest TEXT NOT NULL,
    stability TEXT NOT NULL,
    why TEXT NOT NULL,
    provisional BIGINT NOT NULL,
    rollback BIGINT,
    actor TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (service, digest)
);

CREATE TABLE threads (
    id BIGINT NOT NULL PRIMARY KEY,
    service TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    ended_at BIGINT,
    alerts BIGINT NOT NULL,
    annotations TEXT NOT NULL
);
CREATE INDEX threads_by_service ON threads (service, opened_at);

CREATE TABLE alerts (
    service TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    starts_at BIGINT NOT NULL,
    thread BIGINT,
    title TEXT NOT NULL,
    status TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    ended_at BIGINT,
    count BIGINT NOT NULL,
    PRIMARY KEY (service, fingerprint, starts_at)
);
CREATE INDEX alerts_by_end ON alerts (service, ended_at);
CREATE INDEX alerts_by_arrival ON alerts (received_at);

CREATE TABLE rollbacks (
    id BIGINT NOT NULL PRIMARY KEY,
    service TEXT NOT NULL,
    thread BIGINT NOT NULL,
    active BIGINT NOT NULL,
    phase TEXT NOT NULL,
    seq BIGINT NOT NULL,
    state TEXT NOT NULL,
    failing TEXT,
    target TEXT,
    blamed BIGINT NOT NULL,
    opened_at BIGINT NOT NULL,
    ended_at BIGINT
);
-- One active rollback per service: here, not in anybody's memory.
CREATE UNIQUE INDEX rollbacks_one_active ON rollbacks (service) WHERE active = 1;
CREATE INDEX rollbacks_by_service ON rollbacks (service, opened_at);
CREATE INDEX rollbacks_by_thread ON rollbacks (thread, id);

CREATE TABLE events (
    rollback BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    v BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (rollback, seq)
);

CREATE TABLE effects (
    id TEXT NOT NULL PRIMARY KEY,
    rollback BIGINT NOT NULL,
    service TEXT NOT NULL,
    kind TEXT NOT NULL,
    v BIGINT NOT NULL,
    body TEXT NOT NULL,
    paging BIGINT NOT NULL,
    status TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    owner TEXT,
    outcome TEXT,
    created_at BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE INDEX effects_due ON effects (not_before) WHERE status = 'pending';
CREATE INDEX effects_held ON effects (owner) WHERE status IN ('claimed', 'cancelling');
CREATE INDEX effects_by_rollback ON effects (rollback, status);

CREATE TABLE timers (
    rollback BIGINT NOT NULL,
    timer TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (rollback, timer)
);
CREATE INDEX timers_due ON timers (at);

-- The latest word on something under way. Overwritten; no event.
CREATE TABLE progress (
    rollback BIGINT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL,
    revision BIGINT NOT NULL
);

CREATE TABLE incidents (
    id BIGINT NOT NULL PRIMARY KEY,
    service TEXT NOT NULL,
    thread BIGINT NOT NULL,
    rollback BIGINT NOT NULL,
    opened_at BIGINT NOT NULL,
    closed_at BIGINT,
    closed_by TEXT,
    root_cause TEXT,
    not_the_release BIGINT NOT NULL
);
CREATE UNIQUE INDEX incidents_one_open ON incidents (thread) WHERE closed_at IS NULL;

-- Who executes. A replica that stands still for a whole term, on an observer's own clock, is struck off.
CREATE TABLE replicas (
    id TEXT NOT NULL PRIMARY KEY,
    beat BIGINT NOT NULL
);

-- Roles that one replica has at a time ('delivery').
CREATE TABLE roles (
    name TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL
);

CREATE TABLE inbox (
    source TEXT NOT NULL,
    delivery TEXT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL,
    answer TEXT,
    PRIMARY KEY (source, delivery)
);
CREATE INDEX inbox_by_age ON inbox (at);

-- How far a rollback's events are projected into a room.
CREATE TABLE cursors (
    rollback BIGINT NOT NULL,
    room TEXT NOT NULL,
    seq BIGINT NOT NULL,
    drawn BIGINT NOT NULL,
    PRIMARY KEY (rollback, room)
);

CREATE TABLE messages (
    id BIGINT NOT NULL PRIMARY KEY,
    thread BIGINT NOT NULL,
    room TEXT NOT NULL,
    slot TEXT NOT NULL,
    nonce TEXT NOT NULL,
    card TEXT NOT NULL,
    broadcast BIGINT NOT NULL,
    wanted_rev BIGINT NOT NULL,
    sent_rev BIGINT NOT NULL,
    reference TEXT,
    status TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    error TEXT,
    UNIQUE (thread, room, slot)
);
CREATE INDEX messages_open ON messages (room, id) WHERE status <> 'done';

CREATE TABLE audit (
    id BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    service TEXT NOT NULL,
    what TEXT NOT NULL,
    detail TEXT NOT NULL
);
