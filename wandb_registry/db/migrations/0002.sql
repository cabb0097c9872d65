-- What run.alert said, in its order. It goes with its run.
create table alert (
  id         integer primary key,
  run_id     integer not null references run(id) on delete cascade,
  title      text not null,
  text       text not null,
  severity   text not null default 'INFO' check (severity in ('INFO', 'WARN', 'ERROR')),
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%SZ'))
) strict;
create index alert_by_run on alert (run_id);
