-- Runs that were deleted: to delete one again is no mistake, for those who may.
create table deleted_run (
  id         integer primary key,
  project_id integer not null references project(id) on delete cascade
) strict;

create index run_by_project on run (project_id, id);
create index history_by_step on stream_line (run_id, step) where stream = 'history';

-- The processes that share a run. Each counts its own lines from where it began; here they become one list.
create table run_writer (
  run_id  integer not null references run(id) on delete cascade,
  name    text not null,
  slot    integer not null,                      -- its turn of joining, by which console lines are ordered
  history integer,                               -- the number of the line that it sends next; null before the first
  events  integer,
  primary key (run_id, name)
) strict, without rowid;
