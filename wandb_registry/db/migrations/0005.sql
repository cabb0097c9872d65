-- Sweeps: searches over the parameters of runs. An agent is a process that asks for the parameters of its next run.
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

alter table run add column sweep_id integer references sweep(id) on delete set null;
create index run_by_sweep on run (sweep_id) where sweep_id is not null;
