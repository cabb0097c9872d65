-- Finds what refers to a version before that is deleted.
create index entry_by_ref on entry (ref) where ref is not null;
