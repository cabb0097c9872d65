-- What the registry's SQL finds in SQLite, for PostgreSQL. Run once, before the schema.

create table registry_schema (version bigint not null);
insert into registry_schema values (0);


-- ---- ids ----

-- The highest id that each table with `autoincrement` ever gave. Unlike those of a sequence its numbers have no gaps: a
-- transaction that fails takes none. The activity log proves by that that none of its events is missing.
create table sqlite_sequence (
  name text primary key,
  seq  bigint not null
);

create function next_id(name text) returns bigint language sql volatile as $$
  insert into sqlite_sequence as known (name, seq) values ($1, 1)
      on conflict (name) do update set seq = known.seq + 1
  returning seq
$$;

create function refuse() returns trigger language plpgsql as $$
begin
  raise exception '%', tg_argv[0];
end
$$;


-- ---- times ----

-- Those of the formats that are used. 'now' is the time of the clock, not of the transaction's start.
create function strftime(format text, given text default 'now', shift text default '0 seconds') returns text
language sql stable as $$
  select case format
           when '%s' then floor(extract(epoch from moment))::bigint::text
           when '%Y-%m-%dT%H:%M:%fZ' then to_char(moment, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
           else to_char(moment, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
         end
    from (select (case given when 'now' then clock_timestamp() else given::timestamptz end + shift::interval)
                 at time zone 'UTC' as moment) as shifted
$$;


-- ---- texts ----

create function instr(whole text, part text) returns integer language sql immutable as $$
  select strpos(whole, part)
$$;


-- ---- choices and lists ----

create function iif(condition boolean, yes anycompatible, no anycompatible) returns anycompatible
language sql immutable as $$
  select case when condition then yes else no end
$$;

create function json_added(list jsonb, item text) returns jsonb language sql immutable as $$
  select list || jsonb_build_array(item)
$$;
create function json_text(list jsonb) returns text language sql immutable as $$
  select list::text
$$;
create aggregate json_group_array(text) (sfunc = json_added, stype = jsonb, initcond = '[]', finalfunc = json_text);
