-- A content in a bucket that was proved to have its md5, by the store's ETag or by reading it once, and when somebody
-- last asked for it. What lies in the bucket without a row is not the registry's: another put it there, as DVC does.
create table bucket_content (
  md5      text primary key,
  size     integer not null,
  etag     text not null,
  asked_at integer not null                      -- seconds since 1970
) strict, without rowid;

-- Contents of a bucket that a user proved to be able to read there, as DVC's remote. What they log may have them then.
create table claim (
  user_id    integer not null references user(id) on delete cascade,
  md5        text    not null,
  size       integer not null,
  expires_at integer not null,                   -- seconds since 1970
  primary key (user_id, md5)
) strict, without rowid;
