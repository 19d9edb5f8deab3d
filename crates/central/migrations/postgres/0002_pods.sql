-- Peers that are pods. Such a peer is its pod's name and its key together; a pod's name has one peer whose key is not revoked.
ALTER TABLE peers ADD COLUMN pod TEXT COLLATE "C";
-- Of the pod that registered last.
ALTER TABLE peers ADD COLUMN pod_uid TEXT COLLATE "C";
CREATE UNIQUE INDEX peers_pod ON peers (pod) WHERE pod IS NOT NULL AND NOT revoked;
