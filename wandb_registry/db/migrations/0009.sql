-- Whether the same content again shall be the version that is there.
alter table artifact add column deduplicate integer not null default 0 check (deduplicate in (0, 1));

-- An announcement whose content turned out at its commit to be a version already: its id goes on to name that version.
create table twin (
  id          integer primary key,
  artifact_id integer not null references artifact(id) on delete cascade
) strict;
create index twin_by_artifact on twin (artifact_id);
