-- Rows of a run's history that a rewind or a later execution took back. They are kept for what logged offline and is synced
-- later: a part that began after the rewind, a fork that was made before it.
create table replaced_row (
  run_id integer not null references run(id) on delete cascade,
  step   integer not null,
  logged real    not null,                       -- seconds since 1970
  body   text    not null,
  primary key (run_id, step, logged)
) strict;

-- Rewinds of runs: what was logged before one, behind its step, is no part of the run any more.
create table rewind (
  id      integer primary key,
  run_id  integer not null references run(id) on delete cascade,
  step    real    not null,
  at      real,                                  -- seconds since 1970; null until the process tells when it started
  summary text    not null                       -- the run's summary before it
) strict;
create index rewind_by_run on rewind (run_id);

-- What only this part said in the config: it goes when a later part replaces it.
alter table offline_part add column config text not null default '{}';
