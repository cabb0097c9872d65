-- Accounts that a provider of identities signs in. Who it means lies in issuer and subject: names and addresses change.
create table identity (
  issuer      text    not null,
  subject     text    not null,
  user_id     integer not null unique references user(id) on delete cascade,
  signed_in   text,                              -- when last; null: an admin linked the account, and nobody came yet
  valid_until integer,                           -- seconds since 1970: later its API keys wait for the next sign-in
  ended       integer not null default 0 check (ended in (0, 1)),  -- by its provider, who may let it in again
  primary key (issuer, subject)
) strict, without rowid;
