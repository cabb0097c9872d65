-- What the provider gave to be asked later whether somebody may still sign in: encrypted by the store's secret. Null: it
-- gave nothing, or refused it since.
alter table identity add column refresh_token text;
alter table identity add column asked_at integer not null default 0;  -- seconds since 1970, when it was last asked
