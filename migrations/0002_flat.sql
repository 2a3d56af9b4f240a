-- What is asked for after every commit, or while people wait, must not take longer the more there is behind it.

-- Rollbacks that a room has not been told everything about. `revision` grows with every piece of news, so that whoever
-- told them removes only what they told.
CREATE TABLE news (
    rollback BIGINT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL
);
INSERT INTO news (rollback, revision) SELECT id, 1 FROM rollbacks;

CREATE INDEX rollbacks_by_end ON rollbacks (service, ended_at);
CREATE INDEX rollbacks_blamed ON rollbacks (service, failing, id) WHERE blamed = 1;
CREATE INDEX messages_waiting ON messages (room, id) WHERE status <> 'done' AND status <> 'refused';
