-- Whose records these are: the mark of the secret that signs their addresses and seals their log. Where they lie in a
-- database, any folder could name it.
create table owner (
  one  integer primary key check (one = 1),
  mark text not null
) strict;
