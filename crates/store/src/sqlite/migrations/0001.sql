-- Roots. `no` counts up with the order of creation, and so do `created_ms`, the ranks (roots before
-- this one) and the cums (leaves of the roots before this one), of the same type or of the same type
-- and source. They never change, so a count over any span is a difference of two rows.
CREATE TABLE root (
  no INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE,
  type INTEGER NOT NULL,
  source TEXT NOT NULL,
  name TEXT NOT NULL,
  operator TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  deadline_ms INTEGER NOT NULL,
  cancelled_ms INTEGER,
  ended_ms INTEGER,
  total INTEGER NOT NULL,
  success INTEGER NOT NULL DEFAULT 0,
  fail INTEGER NOT NULL DEFAULT 0,
  timeout INTEGER NOT NULL DEFAULT 0,
  blocks INTEGER NOT NULL DEFAULT 0,
  pack_to INTEGER,
  rank_type INTEGER NOT NULL,
  cum_type INTEGER NOT NULL,
  rank_source INTEGER NOT NULL,
  cum_source INTEGER NOT NULL,
  request_key TEXT NOT NULL UNIQUE,
  request_digest BLOB NOT NULL,
  rerun_of BLOB,
  plan TEXT NOT NULL,
  work TEXT NOT NULL
) STRICT;
CREATE INDEX root_type_created ON root(type, created_ms);
CREATE UNIQUE INDEX root_type_rank ON root(type, rank_type);
CREATE INDEX root_type_cum ON root(type, cum_type);
CREATE INDEX root_source_created ON root(type, source, created_ms);
CREATE UNIQUE INDEX root_source_rank ON root(type, source, rank_source);
CREATE INDEX root_source_cum ON root(type, source, cum_source);
CREATE INDEX root_unfinished ON root(no) WHERE ended_ms IS NULL;
-- Where it is set, the answers in the root's journal blocks of a number up to it are still to be put
-- into the order of the leaves.
CREATE INDEX root_to_pack ON root(no) WHERE pack_to IS NOT NULL;

-- Hosts of a root: 256 numbers of 8 bytes. `segment` is root.no << 12 | (leaf number - 1) >> 8.
CREATE TABLE host_segment (segment INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
-- States of a finished root: 256 slots of 14 bytes. Numbered likewise.
CREATE TABLE state_segment (segment INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
-- Counts of a finished root. `block` is root.no << 10 | (leaf number - 1) >> 10.
CREATE TABLE count_block (
  block INTEGER PRIMARY KEY,
  success INTEGER NOT NULL,
  fail INTEGER NOT NULL,
  timeout INTEGER NOT NULL
) STRICT;
-- Outcomes of the leaves of a finished root. `outcome` is root.no << 10 | place, from 1, as in the slots.
CREATE TABLE outcome (
  outcome INTEGER PRIMARY KEY,
  id BLOB NOT NULL,
  label TEXT NOT NULL,
  count INTEGER NOT NULL,
  first INTEGER NOT NULL
) STRICT;

-- How the leaves of finished roots ended, summed over roots of consecutive ranks: `block` is
-- rank >> 5 * level, level 1 to 4. What counts nothing has no row.
CREATE TABLE type_count (
  type INTEGER NOT NULL,
  level INTEGER NOT NULL,
  block INTEGER NOT NULL,
  success INTEGER NOT NULL,
  fail INTEGER NOT NULL,
  timeout INTEGER NOT NULL,
  PRIMARY KEY (type, level, block)
) STRICT, WITHOUT ROWID;
CREATE TABLE source_count (
  type INTEGER NOT NULL,
  source TEXT NOT NULL,
  level INTEGER NOT NULL,
  block INTEGER NOT NULL,
  success INTEGER NOT NULL,
  fail INTEGER NOT NULL,
  timeout INTEGER NOT NULL,
  PRIMARY KEY (type, source, level, block)
) STRICT, WITHOUT ROWID;

-- What happened, in order. The truth that states and counts derive from. The blocks of a root are
-- numbered inside, from 1 to root.blocks; one may stand for several.
CREATE TABLE journal (block INTEGER PRIMARY KEY, root_no INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE INDEX journal_root ON journal(root_no);

-- `labels`: a line `key=value` each, here and with install codes.
CREATE TABLE host (
  no INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  public_key BLOB NOT NULL,
  name TEXT NOT NULL,
  group_name TEXT NOT NULL,
  labels TEXT NOT NULL,
  agent_version TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  seen_ms INTEGER NOT NULL,
  removed_ms INTEGER,
  facts TEXT NOT NULL
) STRICT;
CREATE INDEX host_present ON host(no) WHERE removed_ms IS NULL;
CREATE INDEX host_key ON host(public_key) WHERE removed_ms IS NULL;

-- What is on the hosts: lists in JSON, compressed, as each last came with the result of a leaf. `snapshot`
-- is host.no << 4 | the item's place; `change` numbers what was written, in its order.
CREATE TABLE snapshot (
  snapshot INTEGER PRIMARY KEY,
  root_id BLOB NOT NULL,
  leaf INTEGER NOT NULL,
  taken_ms INTEGER NOT NULL,
  change INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX snapshot_change ON snapshot(change);
-- The last number that was given: one row. The list that had it may be gone with its host.
CREATE TABLE snapshot_clock (last_change INTEGER NOT NULL) STRICT;
INSERT INTO snapshot_clock VALUES (0);

CREATE TABLE install_code (
  no INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  sealed_code BLOB NOT NULL,
  expires_ms INTEGER NOT NULL,
  uses_max INTEGER NOT NULL,
  uses INTEGER NOT NULL,
  group_id INTEGER NOT NULL,
  group_name TEXT NOT NULL,
  labels TEXT NOT NULL,
  os TEXT NOT NULL,
  vendor TEXT NOT NULL,
  only_image INTEGER NOT NULL,
  proxy_cluster TEXT NOT NULL,
  created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE user (name TEXT PRIMARY KEY, created_ms INTEGER NOT NULL) STRICT;
CREATE TABLE access_key (
  no INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  user TEXT NOT NULL REFERENCES user(name) ON DELETE CASCADE,
  sealed_secret BLOB NOT NULL,
  active INTEGER NOT NULL,
  created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX access_key_user ON access_key(user, created_ms);
CREATE TABLE policy (
  user TEXT NOT NULL REFERENCES user(name) ON DELETE CASCADE,
  name TEXT NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (user, name)
) STRICT;
-- No reference to user: the root account's tokens have none.
CREATE TABLE token (
  id TEXT PRIMARY KEY,
  user TEXT NOT NULL,
  sealed_secret BLOB NOT NULL,
  token_hash BLOB NOT NULL,
  policy TEXT NOT NULL,
  issuer TEXT NOT NULL,
  expires_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX token_user ON token(user);
CREATE INDEX token_expires ON token(expires_ms);

-- Nonces of requests that changed something, so that a restart does not forget them.
CREATE TABLE nonce (hash BLOB PRIMARY KEY, expires_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX nonce_expires ON nonce(expires_ms);

-- Who asked for what: each entry's digest covers all of it and the digest of the entry before it.
CREATE TABLE audit (
  no INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  "user" TEXT NOT NULL,
  action TEXT NOT NULL,
  text TEXT NOT NULL,
  digest BLOB NOT NULL
) STRICT;
CREATE INDEX audit_user ON audit("user", no);
CREATE INDEX audit_at ON audit(at_ms, no);
CREATE INDEX audit_action ON audit(action, no);

CREATE TABLE setting (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
-- One row that is rewritten to see whether writing works.
CREATE TABLE pulse (beats INTEGER NOT NULL) STRICT;
INSERT INTO pulse VALUES (0);
