-- As in src/sqlite/migrations, in the words of PostgreSQL. Texts sort by their bytes, as there.

-- Roots. `no` counts up with the order of creation, and so do `created_ms`, the ranks (roots before
-- this one) and the cums (leaves of the roots before this one), of the same type or of the same type
-- and source. They never change, so a count over any span is a difference of two rows.
CREATE TABLE root (
  no BIGINT PRIMARY KEY,
  id BYTEA NOT NULL UNIQUE,
  type BIGINT NOT NULL,
  source TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  operator TEXT COLLATE "C" NOT NULL,
  created_ms BIGINT NOT NULL,
  deadline_ms BIGINT NOT NULL,
  cancelled_ms BIGINT,
  ended_ms BIGINT,
  total BIGINT NOT NULL,
  success BIGINT NOT NULL DEFAULT 0,
  fail BIGINT NOT NULL DEFAULT 0,
  timeout BIGINT NOT NULL DEFAULT 0,
  blocks BIGINT NOT NULL DEFAULT 0,
  pack_to BIGINT,
  rank_type BIGINT NOT NULL,
  cum_type BIGINT NOT NULL,
  rank_source BIGINT NOT NULL,
  cum_source BIGINT NOT NULL,
  request_key TEXT COLLATE "C" NOT NULL UNIQUE,
  request_digest BYTEA NOT NULL,
  rerun_of BYTEA,
  plan TEXT COLLATE "C" NOT NULL,
  work TEXT COLLATE "C" NOT NULL
);
CREATE INDEX root_type_created ON root(type, created_ms, no);
CREATE UNIQUE INDEX root_type_rank ON root(type, rank_type);
CREATE INDEX root_type_cum ON root(type, cum_type, no);
CREATE INDEX root_source_created ON root(type, source, created_ms, no);
CREATE UNIQUE INDEX root_source_rank ON root(type, source, rank_source);
CREATE INDEX root_source_cum ON root(type, source, cum_source, no);
CREATE INDEX root_unfinished ON root(no) WHERE ended_ms IS NULL;
-- Where it is set, the answers in the root's journal blocks of a number up to it are still to be put
-- into the order of the leaves.
CREATE INDEX root_to_pack ON root(no) WHERE pack_to IS NOT NULL;

-- Hosts of a root: 256 numbers of 8 bytes. `segment` is root.no << 12 | (leaf number - 1) >> 8.
CREATE TABLE host_segment (segment BIGINT PRIMARY KEY, data BYTEA NOT NULL);
-- States of a finished root: 256 slots of 14 bytes. Numbered likewise.
CREATE TABLE state_segment (segment BIGINT PRIMARY KEY, data BYTEA NOT NULL);
-- Counts of a finished root. `block` is root.no << 10 | (leaf number - 1) >> 10.
CREATE TABLE count_block (
  block BIGINT PRIMARY KEY,
  success BIGINT NOT NULL,
  fail BIGINT NOT NULL,
  timeout BIGINT NOT NULL
);
-- Outcomes of the leaves of a finished root. `outcome` is root.no << 10 | place, from 1, as in the slots.
CREATE TABLE outcome (
  outcome BIGINT PRIMARY KEY,
  id BYTEA NOT NULL,
  label TEXT NOT NULL,
  count BIGINT NOT NULL,
  first BIGINT NOT NULL
);

-- How the leaves of finished roots ended, summed over roots of consecutive ranks: `block` is
-- rank >> 5 * level, level 1 to 4. What counts nothing has no row.
CREATE TABLE type_count (
  type BIGINT NOT NULL,
  level BIGINT NOT NULL,
  block BIGINT NOT NULL,
  success BIGINT NOT NULL,
  fail BIGINT NOT NULL,
  timeout BIGINT NOT NULL,
  PRIMARY KEY (type, level, block)
);
CREATE TABLE source_count (
  type BIGINT NOT NULL,
  source TEXT COLLATE "C" NOT NULL,
  level BIGINT NOT NULL,
  block BIGINT NOT NULL,
  success BIGINT NOT NULL,
  fail BIGINT NOT NULL,
  timeout BIGINT NOT NULL,
  PRIMARY KEY (type, source, level, block)
);

-- What happened, in order. The truth that states and counts derive from. The blocks of a root are
-- numbered inside, from 1 to root.blocks; one may stand for several.
CREATE TABLE journal (block BIGINT PRIMARY KEY, root_no BIGINT NOT NULL, data BYTEA NOT NULL);
-- Compressed already.
ALTER TABLE journal ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX journal_root ON journal(root_no, block);

-- `labels`: a line `key=value` each, here and with install codes.
CREATE TABLE host (
  no BIGINT PRIMARY KEY,
  uuid TEXT COLLATE "C" NOT NULL UNIQUE,
  public_key BYTEA NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  group_name TEXT COLLATE "C" NOT NULL,
  labels TEXT COLLATE "C" NOT NULL,
  agent_version TEXT COLLATE "C" NOT NULL,
  created_ms BIGINT NOT NULL,
  seen_ms BIGINT NOT NULL,
  removed_ms BIGINT,
  facts TEXT COLLATE "C" NOT NULL
);
CREATE INDEX host_present ON host(no) WHERE removed_ms IS NULL;
CREATE INDEX host_key ON host(public_key, no) WHERE removed_ms IS NULL;

-- What is on the hosts: lists in JSON, compressed, as each last came with the result of a leaf. `snapshot`
-- is host.no << 4 | the item's place; `change` numbers what was written, in its order.
CREATE TABLE snapshot (
  snapshot BIGINT PRIMARY KEY,
  root_id BYTEA NOT NULL,
  leaf BIGINT NOT NULL,
  taken_ms BIGINT NOT NULL,
  change BIGINT NOT NULL,
  data BYTEA NOT NULL
);
CREATE UNIQUE INDEX snapshot_change ON snapshot(change);
-- The last number that was given: one row. The list that had it may be gone with its host.
CREATE TABLE snapshot_clock (last_change BIGINT NOT NULL);
INSERT INTO snapshot_clock VALUES (0);
ALTER TABLE snapshot ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE TABLE install_code (
  no BIGINT PRIMARY KEY,
  id TEXT COLLATE "C" NOT NULL UNIQUE,
  sealed_code BYTEA NOT NULL,
  expires_ms BIGINT NOT NULL,
  uses_max BIGINT NOT NULL,
  uses BIGINT NOT NULL,
  group_id BIGINT NOT NULL,
  group_name TEXT COLLATE "C" NOT NULL,
  labels TEXT COLLATE "C" NOT NULL,
  os TEXT COLLATE "C" NOT NULL,
  vendor TEXT COLLATE "C" NOT NULL,
  only_image BIGINT NOT NULL,
  proxy_cluster TEXT COLLATE "C" NOT NULL,
  created_ms BIGINT NOT NULL
);

CREATE TABLE "user" (name TEXT COLLATE "C" PRIMARY KEY, created_ms BIGINT NOT NULL);
CREATE TABLE access_key (
  no BIGINT PRIMARY KEY,
  id TEXT COLLATE "C" NOT NULL UNIQUE,
  "user" TEXT COLLATE "C" NOT NULL REFERENCES "user"(name) ON DELETE CASCADE,
  sealed_secret BYTEA NOT NULL,
  active BIGINT NOT NULL,
  created_ms BIGINT NOT NULL
);
CREATE INDEX access_key_user ON access_key("user", created_ms);
CREATE TABLE policy (
  "user" TEXT COLLATE "C" NOT NULL REFERENCES "user"(name) ON DELETE CASCADE,
  name TEXT COLLATE "C" NOT NULL,
  document TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY ("user", name)
);
-- No reference to user: the root account's tokens have none.
CREATE TABLE token (
  id TEXT COLLATE "C" PRIMARY KEY,
  "user" TEXT COLLATE "C" NOT NULL,
  sealed_secret BYTEA NOT NULL,
  token_hash BYTEA NOT NULL,
  policy TEXT COLLATE "C" NOT NULL,
  issuer TEXT COLLATE "C" NOT NULL,
  expires_ms BIGINT NOT NULL
);
CREATE INDEX token_user ON token("user");
CREATE INDEX token_expires ON token(expires_ms);

-- Nonces of requests that changed something, so that a restart does not forget them.
CREATE TABLE nonce (hash BYTEA PRIMARY KEY, expires_ms BIGINT NOT NULL);
CREATE INDEX nonce_expires ON nonce(expires_ms);

-- Who asked for what: each entry's digest covers all of it and the digest of the entry before it.
CREATE TABLE audit (
  no BIGINT PRIMARY KEY,
  at_ms BIGINT NOT NULL,
  "user" TEXT COLLATE "C" NOT NULL,
  action TEXT COLLATE "C" NOT NULL,
  text TEXT COLLATE "C" NOT NULL,
  digest BYTEA NOT NULL
);
CREATE INDEX audit_user ON audit("user", no);
CREATE INDEX audit_at ON audit(at_ms, no);
CREATE INDEX audit_action ON audit(action, no);

CREATE TABLE setting (name TEXT COLLATE "C" PRIMARY KEY, value BYTEA NOT NULL);
-- One row that is rewritten to see whether writing works.
CREATE TABLE pulse (beats BIGINT NOT NULL);
INSERT INTO pulse VALUES (0);
