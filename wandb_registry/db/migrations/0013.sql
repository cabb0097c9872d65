-- Which records these are, wherever they are moved: two registries may have the same secret, where a folder was copied.
alter table owner add column id text;
