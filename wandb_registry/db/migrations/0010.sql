-- Where the rows of a part stand that resumed its run, and which steps they come with. It may be synced before what it
-- went on from: then its rows move, as soon as that is there.
alter table offline_part add column resumed_at integer;  -- the step that its process was told to go on from; else null
alter table offline_part add column first_step integer;  -- the step of its first row; null before it, and if it didn't resume
alter table offline_part add column follows integer not null default 0 check (follows in (0, 1));  -- what was before
alter table offline_part add column sent_to integer;     -- the step of the last of the rows in a row that were sent now
alter table offline_part add column moved_by integer not null default 0;  -- from the steps that are sent now

-- Runs that weren't there when a process asked where to go on. If it announces one now, it resumes it.
create table resume_asked (
  entity_id integer not null references entity(id) on delete cascade,
  project   text not null,
  run       text not null,
  asked     real not null,                       -- seconds since 1970
  primary key (entity_id, project, run)
) strict;

-- What a part said of its summary; the run's is made of what its parts said.
alter table offline_part add column summary text not null default '{}';
alter table rewind drop column summary;
update offline_part
   set summary = (select run.summary from run where run.id = offline_part.run_id)
 where started = (select max(other.started) from offline_part as other where other.run_id = offline_part.run_id);
