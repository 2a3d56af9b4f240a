-- What a chat platform delivered, as it came: acknowledged once it is here, worked off afterwards, by another process too.
CREATE TABLE deliveries (
    source TEXT NOT NULL,
    delivery TEXT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL,
    done BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    PRIMARY KEY (source, delivery)
);
CREATE INDEX deliveries_open ON deliveries (not_before) WHERE done = 0;
CREATE INDEX deliveries_by_age ON deliveries (at);

-- Somebody else's message that a thread of ours answers: its cards go into that message's thread.
CREATE TABLE anchors (
    thread BIGINT NOT NULL,
    room TEXT NOT NULL,
    reference TEXT NOT NULL,
    PRIMARY KEY (thread, room)
);
