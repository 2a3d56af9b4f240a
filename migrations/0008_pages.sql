-- Pages as their pagers know them. Runs that are paged for together share one. `state`: open, acknowledged, resolved.
CREATE TABLE pages (
    pager TEXT NOT NULL,
    key TEXT NOT NULL,
    -- Shown with the page: what the pager tells of it may lack the key.
    tag TEXT NOT NULL,
    state TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    -- When a call for it was last begun, and by which run; 0 before the first.
    rung_at BIGINT NOT NULL,
    rung_by BIGINT NOT NULL,
    PRIMARY KEY (pager, key)
);
CREATE UNIQUE INDEX pages_by_tag ON pages (tag);
CREATE INDEX pages_by_key ON pages (key);
CREATE INDEX pages_open ON pages (pager, opened_at) WHERE state = 'open';

-- Whose calls a page stands for: a run, and the first call for its reason.
CREATE TABLE page_members (
    rollback BIGINT NOT NULL,
    escalation BIGINT NOT NULL,
    -- The pager's index in the service's configuration at that time.
    target BIGINT NOT NULL,
    service TEXT NOT NULL,
    pager TEXT NOT NULL,
    key TEXT NOT NULL,
    -- The run needs nobody any more.
    ended BIGINT NOT NULL,
    PRIMARY KEY (rollback, escalation, target)
);
CREATE INDEX page_members_by_page ON page_members (pager, key);

-- Which alerts a page is for.
CREATE INDEX alerts_firing_by_thread ON alerts (thread) WHERE status = 'firing';

-- Incremented by the first statement of a transaction about a pager's pages: that serialises them.
CREATE TABLE pagers (
    name TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);
