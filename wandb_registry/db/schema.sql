-- The registry's records. Files lie beside it, in blobs/, under their md5.
-- Times are UTC text, '2026-11-23T07:52:55Z'. JSON columns hold text as it arrived.


-- ---- accounts ----

-- An organization owns one entity of kind 'organization', where its registries live, and any number of teams.
create table organization (
  id         integer primary key,
  name       text not null unique check (name <> ''),
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%SZ'))
) strict;

-- Users, teams and organizations share one name space: the first part of every address.
create table entity (
  id              integer primary key,
  name            text not null unique check (name <> ''),
  kind            text not null check (kind in ('user', 'team', 'organization')),
  organization_id integer references organization(id) on delete cascade,
  created_at      text not null default (strftime('%Y-%m-%dT%H:%M:%SZ')),
  check ((kind = 'user') = (organization_id is null))
) strict;
create unique index one_entity_an_organization on entity (organization_id) where kind = 'organization';

-- A user's name is that of the personal entity. A removed user keeps its row: runs and versions still name it.
create table user (
  id                integer primary key,
  entity_id         integer not null unique references entity(id),
  default_entity_id integer references entity(id) on delete set null,  -- where runs go that name no entity
  email             text,
  admin             integer not null default 0 check (admin in (0, 1)),
  service           integer not null default 0 check (service in (0, 1)),   -- belongs to a team, signs in by key only
  sessions_since    integer not null default 0,      -- nanoseconds since 1970: older browser sessions sign nobody in
  created_at        text not null default (strftime('%Y-%m-%dT%H:%M:%SZ')),
  deleted_at        text
) strict;
create view account as
select user.id, user.entity_id, user.email, user.admin, user.created_at, user.deleted_at,
       own.name as username, coalesce(chosen.name, own.name) as default_entity
  from user
  join entity own on own.id = user.entity_id
  left join entity chosen on chosen.id = user.default_entity_id;

-- Keys are long and random, so one sha256 is enough; the key itself is never stored here.
create table api_key (
  id          integer primary key,
  user_id     integer not null references user(id) on delete cascade,
  hash        text not null unique,
  hint        text not null,                     -- its first characters, to tell keys apart in lists
  description text,
  created_at  text not null default (strftime('%Y-%m-%dT%H:%M:%SZ'))
) strict;

-- A user has at most one role in an organization.
create table organization_member (
  organization_id integer not null references organization(id) on delete cascade,
  user_id         integer not null references user(id) on delete cascade,
  role            text not null check (role in ('admin', 'member', 'viewer')),
  primary key (organization_id, user_id)
) strict, without rowid;

-- A user has at most one role in a team; `entity_id` is that of the team.
create table team_member (
  entity_id integer not null references entity(id) on delete cascade,
  user_id   integer not null references user(id) on delete cascade,
  role      text not null check (role in ('admin', 'member', 'viewer')),
  primary key (entity_id, user_id)
) strict, without rowid;

-- One-time tokens of the address that `serve` prints; used once, then gone.
create table login_token (
  hash       text primary key,
  user_id    integer not null references user(id) on delete cascade,
  expires_at integer not null                    -- seconds since 1970
) strict, without rowid;

-- Browser sessions that were signed out: their cookies sign nobody in, although their time isn't over.
create table ended_session (
  hash       text primary key,
  expires_at integer not null                    -- seconds since 1970; the row is of no use after it
) strict, without rowid;


-- ---- projects ----

-- A registry is a project named wandb-registry-NAME of an organization's entity.
create table project (
  id              integer primary key autoincrement,
  entity_id       integer not null references entity(id) on delete cascade,
  name            text not null check (name <> ''),
  description     text,
  access          text not null default 'PRIVATE',   -- PRIVATE: whoever belongs to the entity; RESTRICTED: members only
  allow_all_types integer not null default 1 check (allow_all_types in (0, 1)),
  user_id         integer references user(id),
  created_at      text not null default (strftime('%Y-%m-%dT%H:%M:%SZ')),
  updated_at      text,
  unique (entity_id, name)
) strict;

-- A user has at most one role of a project or registry; `project_team` may give another, and the higher one counts.
create table project_member (
  project_id integer not null references project(id) on delete cascade,
  user_id    integer not null references user(id) on delete cascade,
  role       text not null check (role in ('admin', 'member', 'viewer', 'restricted_viewer')),
  primary key (project_id, user_id)
) strict, without rowid;

-- A team has at most one role in a project or registry: that of all its members.
create table project_team (
  project_id integer not null references project(id) on delete cascade,
  entity_id  integer not null references entity(id) on delete cascade,
  role       text not null check (role in ('admin', 'member', 'viewer', 'restricted_viewer')),
  primary key (project_id, entity_id)
) strict, without rowid;

-- Aliases that only an admin of the project may move.
create table protected_alias (
  project_id integer not null references project(id) on delete cascade,
  name       text not null,
  primary key (project_id, name)
) strict, without rowid;


-- ---- runs ----

-- A run's name is unique in its project; numbers are never given twice, so an id in an address never means another run.
create table run (
  id           integer primary key autoincrement,
  project_id   integer not null references project(id) on delete cascade,
  name         text not null check (name <> ''),     -- the run id in addresses
  display_name text not null,
  state        text not null default 'running',
  exit_code    integer,
  config       text not null default '{}',           -- {"lr": {"value": 0.1}, "_wandb": {...}}
  summary      text not null default '{}',
  description  text,
  notes        text,
  tags         text not null default '[]',           -- JSON list
  history_keys text not null default '{}',           -- {"loss": {"typeCounts": …}}, kept up as rows arrive
  last_step    integer not null default -1,
  group_name   text,
  job_type     text,
  git_commit   text,
  repo         text,
  host         text,
  program      text,
  user_id      integer references user(id),
  sweep_id     integer references sweep(id) on delete set null,
  stop_asked   integer not null default 0 check (stop_asked in (0, 1)),
  created_at   text not null default (strftime('%Y-%m-%dT%H:%M:%SZ')),
  heartbeat_at text not null default (strftime('%Y-%m-%dT%H:%M:%SZ')),
  updated_at   text,
  unique (project_id, name)
) strict;
create index run_by_project on run (project_id, id);
create index run_by_sweep on run (sweep_id) where sweep_id is not null;

-- Runs that were deleted: to delete one again is no mistake, for those who may.
create table deleted_run (
  id         integer primary key,
  project_id integer not null references project(id) on delete cascade
) strict;

-- The processes that share a run. Each counts its own lines from where it began; here they become one list.
create table run_writer (
  run_id  integer not null references run(id) on delete cascade,
  name    text not null,
  slot    integer not null,                      -- in order of joining; console lines are ordered by it
  history integer,                               -- the number of the line that it sends next; null before the first
  events  integer,
  primary key (run_id, name)
) strict, without rowid;

-- Lines of wandb-history.jsonl and wandb-events.jsonl, at the offset that the SDK gave them.
create table stream_line (
  run_id integer not null references run(id) on delete cascade,
  stream text not null check (stream in ('history', 'events')),
  number integer not null,
  step   integer,                                -- _step of a history row
  body   text not null,                          -- may hold bare NaN and Infinity: not strict JSON
  primary key (run_id, stream, number)
) strict, without rowid;
create index history_by_step on stream_line (run_id, step) where stream = 'history';

-- Lines of a run's console by their number. A line that is sent again replaces the one that was there.
create table console_line (
  run_id integer not null references run(id) on delete cascade,
  number integer not null,
  body   text not null,
  primary key (run_id, number)
) strict, without rowid;

-- A run has one file of a name: a new upload takes the place of the last.
create table run_file (
  id         integer primary key,
  run_id     integer not null references run(id) on delete cascade,
  name       text not null,
  md5        text not null,
  size       integer not null,
  updated_at text not null default (strftime('%Y-%m-%dT%H:%M:%SZ')),
  unique (run_id, name)
) strict;


-- ---- sweeps ----

-- Sweeps: searches over the parameters of runs.
create table sweep (
  id           integer primary key autoincrement,
  project_id   integer not null references project(id) on delete cascade,
  name         text not null,                    -- the sweep id in addresses
  display_name text,
  description  text,
  config       text not null,                    -- YAML as it arrived
  state        text not null default 'RUNNING' check (state in ('RUNNING', 'PAUSED', 'FINISHED', 'CANCELED')),
  user_id      integer references user(id),
  created_at   text not null default (strftime('%Y-%m-%dT%H:%M:%SZ')),
  updated_at   text,
  unique (project_id, name)
) strict;

-- An agent is a process that asks for the parameters of its next run.
create table agent (
  id           integer primary key autoincrement,
  sweep_id     integer not null references sweep(id) on delete cascade,
  host         text,
  created_at   text not null default (strftime('%Y-%m-%dT%H:%M:%SZ')),
  heartbeat_at text not null default (strftime('%Y-%m-%dT%H:%M:%SZ'))
) strict;
create index agent_by_sweep on agent (sweep_id);

-- The runs that agents were told to start, in order: a grid is handed out by this number.
create table trial (
  sweep_id integer not null references sweep(id) on delete cascade,
  number   integer not null,
  agent_id integer not null references agent(id) on delete cascade,
  run_name text not null,
  primary key (sweep_id, number)
) strict, without rowid;


-- ---- artifacts ----

-- A type, such as 'model', is one per project; every collection has exactly one.
create table artifact_type (
  id          integer primary key,
  project_id  integer not null references project(id) on delete cascade,
  name        text not null,
  description text,
  created_at  text not null default (strftime('%Y-%m-%dT%H:%M:%SZ')),
  unique (project_id, name)
) strict;

-- A sequence owns its versions; a portfolio (registered model) holds links to versions of sequences.
create table collection (
  id          integer primary key autoincrement,
  project_id  integer not null references project(id) on delete cascade,
  type_id     integer not null references artifact_type(id),
  kind        text not null check (kind in ('SEQUENCE', 'PORTFOLIO')),
  name        text not null check (name <> ''),
  description text,
  client_id   text unique,                       -- the SDK's name for a sequence that is not logged yet
  next_index  integer not null default 0,        -- version numbers are never given twice
  created_at  text not null default (strftime('%Y-%m-%dT%H:%M:%SZ')),
  updated_at  text,
  unique (project_id, name)
) strict;

-- PENDING until its files are proved to be here; only COMMITTED ones are ever listed or found by alias.
create table artifact (
  id             integer primary key autoincrement,
  collection_id  integer not null references collection(id) on delete cascade,
  state          text not null default 'PENDING' check (state in ('PENDING', 'COMMITTED', 'DELETED')),
  digest         text not null,
  description    text,
  metadata       text,
  ttl            integer not null default -1,    -- seconds; -1 inherits, -2 never
  run_id         integer references run(id) on delete set null,
  user_id        integer references user(id),
  history_step   integer,
  distributed_id text,
  aliases        text not null default '[]',     -- asked for at creation, given at commit
  deduplicate    integer not null default 0 check (deduplicate in (0, 1)),  -- be the version that has the same content
  base_id        integer references artifact(id) on delete set null,
  version_index  integer,                        -- in its sequence, given at commit
  size           integer not null default 0,
  file_count     integer not null default 0,
  created_at     text not null default (strftime('%Y-%m-%dT%H:%M:%SZ')),
  updated_at     text,
  check ((state = 'PENDING') <= (version_index is null))
) strict;
create index artifact_by_digest on artifact (collection_id, digest);
create index artifact_by_run on artifact (run_id);

-- An artifact whose content turned out at its commit to be a version already: its id goes on to name that version.
create table twin (
  id          integer primary key,
  artifact_id integer not null references artifact(id) on delete cascade
) strict;
create index twin_by_artifact on twin (artifact_id);

-- The SDK's own ids of artifacts that it has created but not yet logged.
create table client_id (
  id          text primary key,
  artifact_id integer not null references artifact(id) on delete cascade
) strict, without rowid;

-- A version's place in a collection: its number there. Sequences number their own versions, portfolios their links.
create table membership (
  id            integer primary key,
  collection_id integer not null references collection(id) on delete cascade,
  artifact_id   integer not null references artifact(id) on delete cascade,
  version_index integer not null,
  created_at    text not null default (strftime('%Y-%m-%dT%H:%M:%SZ')),
  unique (collection_id, artifact_id),
  unique (collection_id, version_index)
) strict;
create index membership_by_artifact on membership (artifact_id);

-- An alias names one version of a collection at a time: moving `production` is an update, never two rows.
create table alias (
  id            integer primary key,
  collection_id integer not null references collection(id) on delete cascade,
  name          text not null check (name <> ''),    -- 'v3' is refused by model/names.py
  membership_id integer not null references membership(id) on delete cascade,
  unique (collection_id, name)
) strict;
create index alias_by_membership on alias (membership_id);

-- A version has a tag once; tags, unlike aliases, may be on any number of versions.
create table artifact_tag (
  id          integer primary key,
  artifact_id integer not null references artifact(id) on delete cascade,
  name        text not null,
  unique (artifact_id, name)
) strict;

-- A collection has a tag once.
create table collection_tag (
  id            integer primary key,
  collection_id integer not null references collection(id) on delete cascade,
  name          text not null,
  unique (collection_id, name)
) strict;

-- What the SDK uploads to say which files a version has. Its body is kept until the commit turns it into entries.
create table manifest (
  id          integer primary key,
  artifact_id integer not null references artifact(id) on delete cascade,
  kind        text not null check (kind in ('FULL', 'INCREMENTAL', 'PATCH')),
  digest      text not null,                     -- base64 md5 of the body; '' while only reserved
  body        blob
) strict;
create index manifest_by_artifact on manifest (artifact_id);

-- The files of a committed version. md5 is null for references, whose digest is whatever their store calls it.
create table entry (
  artifact_id integer not null references artifact(id) on delete cascade,
  path        text not null,
  digest      text not null,
  md5         text,                              -- hex; its content is in blobs/
  size        integer not null default 0,
  ref         text,
  birth_id    integer,                           -- the artifact that first uploaded the content
  extra       text,
  primary key (artifact_id, path),
  check ((md5 is null) = (ref is not null))
) strict, without rowid;
create index entry_by_md5 on entry (md5) where md5 is not null;
create index entry_by_ref on entry (ref) where ref is not null;

-- Content that an entity has proved to have, by sending all its bytes. Knowing an md5 is no such proof.
create table holding (
  entity_id   integer not null references entity(id) on delete cascade,
  md5         text not null,
  size        integer not null,
  artifact_id integer not null,                  -- the last artifact it was sent for
  primary key (entity_id, md5)
) strict, without rowid;


-- ---- lineage ----

-- A run uses a version once, however often it says so.
create table run_input (
  run_id      integer not null references run(id) on delete cascade,
  artifact_id integer not null references artifact(id) on delete cascade,
  used_as     text,
  created_at  text not null default (strftime('%Y-%m-%dT%H:%M:%SZ')),
  primary key (run_id, artifact_id)
) strict, without rowid;
create index run_input_by_artifact on run_input (artifact_id);

-- A run logs a version once, and several runs may log the same one.
create table run_output (
  run_id      integer not null references run(id) on delete cascade,
  artifact_id integer not null references artifact(id) on delete cascade,
  created_at  text not null default (strftime('%Y-%m-%dT%H:%M:%SZ')),
  primary key (run_id, artifact_id)
) strict, without rowid;
create index run_output_by_artifact on run_output (artifact_id);


-- ---- activity log ----

-- What was done to versions, links, aliases, collections and members. Rows are only ever added. Each holds the hash of
-- the one before, and numbers are never given twice, so that a changed or missing one shows.
create table event (
  id            integer primary key autoincrement,
  at            text not null,                   -- UTC with milliseconds
  who           text not null,                   -- the account's name
  action        text not null,
  subject       text not null,                   -- the collection or registry, as it was called then
  collection_id integer,                         -- no reference: the log outlives what it tells of
  name          text,                            -- the alias, the version or the member that it was about
  before        text,                            -- 'v2', a role, a name; null if there was none
  after         text,
  source        text,                            -- the version behind it: 'entity/project/collection:v3'
  run           text,                            -- the run that made that version: 'entity/project/run'
  git_commit    text,                            -- and the commit that this run was of
  hash          text not null                    -- sha256 of the hash before and of this row
) strict;
create index event_by_collection on event (collection_id);
create trigger event_is_never_changed before update on event
begin
  select raise(abort, 'The activity log is only ever added to.');
end;
create trigger event_is_never_removed before delete on event
begin
  select raise(abort, 'The activity log is only ever added to.');
end;

-- The end of the activity log, sealed with the store's secret: who takes its last events out of this file by hand, or
-- makes all hashes anew, can't make the seal that belongs to what is left.
create table event_end (
  one  integer primary key check (one = 1),
  seal text not null                             -- of the number and the hash of the last event
) strict;


-- ---- ids ----

-- The SDK caches what it has seen of an artifact by its id, whichever server it came from, so two stores give
-- different ids.
insert into sqlite_sequence (name, seq) values ('artifact', abs(random() % 1000000000));
