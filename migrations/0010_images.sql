-- What registries said that an image index names: a manifest for each platform. Found by digest, so it never changes. Every digest
-- that was asked about names itself, too: one that names nothing else is no index.
CREATE TABLE manifests (
    image TEXT NOT NULL,
    manifest TEXT NOT NULL,
    PRIMARY KEY (image, manifest)
);
