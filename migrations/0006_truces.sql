-- Who was made to stand still for a thread's rollbacks (GitOps), and what became of it. What was before is kept by the adapter,
-- outside. `state`: held, resuming, warned, failed, resumed.
CREATE TABLE truces (
    thread BIGINT NOT NULL PRIMARY KEY,
    service TEXT NOT NULL,
    rollback BIGINT NOT NULL,
    who TEXT NOT NULL,
    state TEXT NOT NULL,
    detail TEXT NOT NULL,
    actor TEXT NOT NULL,
    at BIGINT NOT NULL,
    -- Grows with every change: one message in the thread for each.
    revision BIGINT NOT NULL
);
CREATE INDEX truces_in_force ON truces (service) WHERE state <> 'resumed';
