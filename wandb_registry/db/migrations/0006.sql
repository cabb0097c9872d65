-- Specifications of charts in Vega or Vega-Lite, which runs name as `entity/name` and draw their tables by.
create table custom_chart (
  id           integer primary key autoincrement,
  entity_id    integer not null references entity(id) on delete cascade,
  name         text not null check (name <> ''),
  display_name text not null,
  access       text not null check (access in ('PRIVATE', 'PUBLIC')),  -- private: whoever belongs to the entity sees it
  spec         text not null,                    -- JSON
  user_id      integer references user(id),
  created_at   text not null default (strftime('%Y-%m-%dT%H:%M:%SZ')),
  unique (entity_id, name)
) strict;

-- Views of a project's runs that one user has saved for nobody else; `saved_view` holds those of the project.
create table own_view (
  id         integer primary key autoincrement,
  project_id integer not null references project(id) on delete cascade,
  user_id    integer not null references user(id) on delete cascade,
  name       text not null check (name <> ''),
  query      text not null,
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%SZ')),
  unique (project_id, user_id, name)
) strict;

-- The last day, in UTC, on which a key works; null: it has no end.
alter table api_key add column last_day text;
