-- Browsers stay signed in without their key: when a key is taken back, what was signed in before it has to sign in anew.
alter table user add column sessions_since integer not null default 0;  -- nanoseconds since 1970
