-- What is asked for after every commit, or while people wait, must not take longer the more there is behind it.

-- What rooms have been told of a rollback. `revision` grows with every piece of news and `told` follows it; neither ever
-- falls, so that a teller that was held up can't take back what came after it.
CREATE TABLE news (
    rollback BIGINT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    told BIGINT NOT NULL
);
INSERT INTO news (rollback, revision, told) SELECT id, 1, 0 FROM rollbacks;
CREATE INDEX news_untold ON news (rollback) WHERE told < revision;

CREATE INDEX rollbacks_by_end ON rollbacks (service, ended_at);
CREATE INDEX rollbacks_blamed ON rollbacks (service, failing, id) WHERE blamed = 1;
CREATE INDEX messages_waiting ON messages (room, id) WHERE status <> 'done' AND status <> 'refused';
