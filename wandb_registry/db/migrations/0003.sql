-- What was done to a run is found by its name.
create index event_by_subject on event (subject);

-- When a key was last seen, to the minute, and from where. Null: not since this is kept.
alter table api_key add column used_at text;
alter table api_key add column used_from text;

-- Views of a project's runs that were saved under a name: conditions, columns and order, as in the page's address.
create table saved_view (
  id         integer primary key autoincrement,
  project_id integer not null references project(id) on delete cascade,
  name       text not null check (name <> ''),
  query      text not null,
  is_default integer not null default 0 check (is_default in (0, 1)),  -- what the project's page shows first
  user_id    integer references user(id),
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%SZ')),
  unique (project_id, name)
) strict;
create unique index one_default_view on saved_view (project_id) where is_default;
