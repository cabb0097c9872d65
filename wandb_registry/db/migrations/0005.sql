-- Aliases of a collection that move only by a request to which a second person said yes. Whoever asks may make such a
-- rule; only an admin of the project takes it away.
create table approval_rule (
  collection_id integer not null references collection(id) on delete cascade,
  alias         text    not null check (alias <> ''),
  services      integer not null default 0 check (services in (0, 1)),  -- whether service accounts may say yes too
  primary key (collection_id, alias)
) strict, without rowid;

-- Requests to put an alias on a version. An alias has at most one that is open; one that is closed stays so.
create table promotion_request (
  id            integer primary key autoincrement,
  collection_id integer not null references collection(id) on delete cascade,
  membership_id integer not null references membership(id) on delete cascade,
  holder_id     integer,                         -- the membership that had the alias then; null if none
  alias         text not null check (alias <> ''),
  reason        text not null,
  facts         text not null,                   -- JSON: the verdict with its numbers, as the asker gave them
  state         text not null default 'OPEN' check (state in ('OPEN', 'APPROVED', 'REJECTED', 'WITHDRAWN', 'REPLACED')),
  asked_by      integer not null references user(id),
  asked_at      text not null default (strftime('%Y-%m-%dT%H:%M:%SZ')),
  decided_by    integer references user(id),
  decided_at    text,
  decision      text,                            -- why it was decided so
  check ((state = 'OPEN') = (decided_by is null))
) strict;
create unique index one_open_request on promotion_request (collection_id, alias) where state = 'OPEN';
create index promotion_request_by_membership on promotion_request (membership_id);
