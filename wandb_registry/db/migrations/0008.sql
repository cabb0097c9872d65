-- The end of the activity log, sealed with the store's secret: who takes its last events out of this file by hand, or
-- makes all hashes anew, can't make the seal that belongs to what is left.
create table event_end (
  one  integer primary key check (one = 1),
  seal text not null                             -- of the number and the hash of the last event
) strict;
