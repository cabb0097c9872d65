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

-- Aliases that only an admin of the project may move.
create table protected_alias (
  project_id integer not null references project(id) on delete cascade,
  name       text not null,
  primary key (project_id, name)
) strict, without rowid;

-- A service account belongs to a team and signs in with its key alone.
alter table user add column service integer not null default 0 check (service in (0, 1));
