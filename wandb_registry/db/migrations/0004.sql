-- Sessions of browsers that were signed out: their cookies open nothing, although their time isn't over.
create table ended_session (
  hash       text primary key,
  expires_at integer not null                    -- seconds since 1970; behind it the row is of no use
) strict, without rowid;
