-- The parts of a run that logged offline and are synced one after the other, in any order: what each said of the run, and
-- how many lines of the console are its own. The lines of parts that started earlier come first.
create table offline_part (
  id            integer primary key,
  run_id        integer not null references run(id) on delete cascade,
  started       real,                              -- seconds since 1970; null until the part tells it
  words         text not null default '{}',        -- columns of the run that it gave: JSON
  console_lines integer not null default 0,
  console_from  integer,                           -- the offset of the first one in what is sent now: of a resumed part,
                                                   -- the lines that the run had; null before it
  is_sending    integer not null check (is_sending in (0, 1))  -- what comes now comes from it
) strict;
create index offline_part_by_run on offline_part (run_id);

-- When the offline part started that a file is from; null for all other files.
alter table run_file add column part_started real;

-- Whether an alert came within its wait_duration after one of the same title: nobody is to be told again.
alter table alert add column repeats integer not null default 0 check (repeats in (0, 1));

-- Where the code of a project is, as whoever made it said.
alter table project add column repo text;
