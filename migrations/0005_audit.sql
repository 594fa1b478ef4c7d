-- The audit: questions to the lock history, its seals, and the roles that the parts run with.

-- Holds ----------------------------------------------------------------------------------------------------------

-- A hold's other events are found by its job, in the partitions of the week in which it can have ended at the latest:
-- a key that is hot, or a history that is long, costs nothing.
create or replace view holdfast.lock_holds as
select a.lock_key, a.job_id, a.attempt, a.worker_id, a.fence, a.token,
       a.at as acquired_at, e.at as ended_at, e.event as ended_by,
       coalesce(x.valid_until, a.at + a.validity_us * interval '1 microsecond') as valid_until,
       e.reason, a.waited_us, e.held_us, a.votes
from holdfast.lock_history a
left join lateral (
    select max(h.at + h.validity_us * interval '1 microsecond') as valid_until
    from holdfast.lock_history h
    where h.job_id = a.job_id and h.fence = a.fence and h.event = 'extended'
        and h.at >= a.at and h.at <= a.at + interval '8 days') x on true
left join lateral (
    select h.at, h.event, h.reason, h.held_us
    from holdfast.lock_history h
    where h.job_id = a.job_id and h.fence = a.fence and h.event in ('released', 'lost', 'overrun')
        and h.at >= a.at and h.at <= a.at + interval '8 days'
    order by h.at, h.id
    limit 1) e on true
where a.event = 'acquired';
comment on view holdfast.lock_holds is
    'One row for each hold, as an interval; ended_at is null while it lasts, or when its worker died: then it was over '
    'at valid_until at the latest. A hold ends within 8 days, as no attempt may run longer than 7. '
    'Example: select * from holdfast.lock_holds where lock_key = ''demo'' order by acquired_at;';

create function holdfast.who_held(key text, at timestamptz)
returns setof holdfast.lock_holds language sql stable as $$
    select *
    from (
        -- One is enough, as holds of a key don't overlap. More are looked at, so that it shows when they do.
        select h.*
        from holdfast.lock_holds h
        where h.lock_key = who_held.key and h.acquired_at <= who_held.at
        order by h.acquired_at desc
        limit 8) h
    where who_held.at < coalesce(h.ended_at, h.valid_until)
$$;
comment on function holdfast.who_held(text, timestamptz) is
    'The hold of a key at a moment, with the nodes'' votes and why it ended; no row when nobody held it. A hold without a '
    'recorded end counts until valid_until. Example: select * from holdfast.who_held(''demo'', now() - interval ''1 hour'');';

create function holdfast.holders_between(key text, since timestamptz, until timestamptz)
returns setof holdfast.lock_holds language sql stable as $$
    select * from holdfast.who_held(holders_between.key, since)
    union all
    select h.*
    from holdfast.lock_holds h
    where h.lock_key = holders_between.key and h.acquired_at > since and h.acquired_at < until
$$;
comment on function holdfast.holders_between(text, timestamptz, timestamptz) is
    'The holds of a key that had a part in a span of time, its end not included. '
    'Example: select * from holdfast.holders_between(''demo'', now() - interval ''1 hour'', now()) order by acquired_at;';

create view holdfast.current_holds as
select k.lock_key, h.job_id, h.attempt, h.worker_id, w.name as worker, h.fence, h.acquired_at, h.valid_until,
       clock_timestamp() - h.acquired_at as held_for, h.votes
from holdfast.key_lines k
cross join lateral (
    select l.*
    from holdfast.lock_holds l
    where l.lock_key = k.lock_key and l.acquired_at >= k.claimed_at - interval '1 minute'
    order by l.acquired_at desc
    limit 1) h
left join holdfast.workers w on w.id = h.worker_id
where k.held_by is not null and h.fence > k.fence and h.ended_at is null;
comment on view holdfast.current_holds is
    'The holds that last, or whose end has not been recorded yet. valid_until is what has been recorded: extensions are '
    'written with the next settlement. Example: select * from holdfast.current_holds order by held_for desc;';

-- Jobs, keys and nodes -------------------------------------------------------------------------------------------

create function holdfast.job_timeline(job_id bigint)
returns table (at timestamptz, event text, attempt integer, worker_id bigint, fence bigint, waited interval, held interval,
               outcome text, votes text, reason text) language sql stable as $$
    select t.*
    from (
        select j.submitted_at as at, 'submitted' as event, null::integer as attempt, null::bigint as worker_id,
               null::bigint as fence, null::interval as waited, null::interval as held, null as outcome, null as votes,
               'key ' || j.lock_key as reason
        from (
            select j.submitted_at, j.lock_key from holdfast.jobs j where j.id = job_timeline.job_id
            union all
            select f.submitted_at, f.lock_key from holdfast.finished_jobs f where f.id = job_timeline.job_id) j
        union all
        select h.at, h.event::text, h.attempt, h.worker_id, h.fence, h.waited_us * interval '1 microsecond',
               h.held_us * interval '1 microsecond', h.outcome,
               (select string_agg(v.vote ->> 'verdict', ',' order by v.place)
                from jsonb_array_elements(h.votes) with ordinality as v(vote, place)),
               h.reason
        from holdfast.lock_history h
        where h.job_id = job_timeline.job_id
        union all
        select f.finished_at, f.state, f.attempt, f.worker_id, f.fence, null, null, null, null, f.error
        from holdfast.finished_jobs f
        where f.id = job_timeline.job_id) t
    order by t.at, t.fence nulls first, array_position(array['submitted', 'waiting', 'acquired', 'extended'], t.event)
$$;
comment on function holdfast.job_timeline(bigint) is
    'All that happened to a job, oldest first, with the verdict of each lock node. Example: select * from holdfast.job_timeline(42);';

create function holdfast.key_contention(for_last interval default '1 day')
returns table (lock_key text, holds bigint, waits bigint, waited_p50_ms numeric, waited_p99_ms numeric,
               held_p50_ms numeric, held_p99_ms numeric, lost bigint, overrun bigint) language sql stable as $$
    select h.lock_key, count(*) filter (where h.event = 'acquired'), count(*) filter (where h.event = 'waiting'),
           round((percentile_cont(0.5) within group (order by h.waited_us) filter (where h.event = 'acquired') / 1000)::numeric, 1),
           round((percentile_cont(0.99) within group (order by h.waited_us) filter (where h.event = 'acquired') / 1000)::numeric, 1),
           round((percentile_cont(0.5) within group (order by h.held_us) filter (where h.event <> 'extended') / 1000)::numeric, 1),
           round((percentile_cont(0.99) within group (order by h.held_us) filter (where h.event <> 'extended') / 1000)::numeric, 1),
           count(*) filter (where h.event = 'lost'), count(*) filter (where h.event = 'overrun')
    from holdfast.lock_history h
    where h.at >= now() - for_last
    group by h.lock_key
    order by sum(h.waited_us) filter (where h.event = 'acquired') desc nulls last
$$;
comment on function holdfast.key_contention(interval) is
    'For each key with events in the last time: how often it was held and waited for (a foreign holder had it), how long '
    'the wait for the lock and the hold were, and how many holds were lost or overrun; the longest waited for first. '
    'Example: select * from holdfast.key_contention(''1 hour'') limit 20;';

create function holdfast.node_votes(for_last interval default '1 day')
returns table (node text, asked bigint, granted bigint, held bigint, unreachable bigint, late bigint, quarantined bigint,
               stepped bigint, p50_us bigint, p99_us bigint) language sql stable as $$
    select v.vote ->> 'node', count(*),
           count(*) filter (where v.vote ->> 'verdict' = 'granted'), count(*) filter (where v.vote ->> 'verdict' = 'held'),
           count(*) filter (where v.vote ->> 'verdict' = 'unreachable'), count(*) filter (where v.vote ->> 'verdict' = 'late'),
           count(*) filter (where v.vote ->> 'verdict' = 'quarantined'), count(*) filter (where v.vote ->> 'verdict' = 'stepped'),
           percentile_disc(0.5) within group (order by (v.vote ->> 'us')::bigint),
           percentile_disc(0.99) within group (order by (v.vote ->> 'us')::bigint)
    from holdfast.lock_history h
    cross join lateral jsonb_array_elements(h.votes) as v(vote)
    where h.at >= now() - for_last
    group by v.vote ->> 'node'
    order by v.vote ->> 'node'
$$;
comment on function holdfast.node_votes(interval) is
    'What each lock node answered in the last time, when it was asked to lock, extend or release, and how fast. '
    'Example: select * from holdfast.node_votes(''1 hour'');';

-- Checks ---------------------------------------------------------------------------------------------------------

drop view holdfast.lock_overlaps;
create view holdfast.lock_overlaps as
select o.lock_key, (o.busy[2])::bigint as first_fence, o.fence as second_fence,
       to_timestamp((o.busy[3])::double precision) as first_acquired_at,
       to_timestamp((o.busy[4])::double precision) as first_ended_at, o.acquired_at as second_acquired_at
from (
    select h.lock_key, h.fence, h.acquired_at,
           -- Of the holds before it, the one that ended last. One pass over the history, however long it is.
           max(array[extract(epoch from coalesce(h.ended_at, h.valid_until)), h.fence, extract(epoch from h.acquired_at),
                     extract(epoch from h.ended_at)])
               filter (where coalesce(h.ended_at, h.valid_until) is not null)
               over (partition by h.lock_key order by h.acquired_at, h.fence
                     rows between unbounded preceding and 1 preceding) as busy
    from (
        select e.lock_key, e.job_id, e.fence, min(e.at) filter (where e.event = 'acquired') as acquired_at,
               min(e.at) filter (where e.event in ('released', 'lost', 'overrun')) as ended_at,
               max(e.at + e.validity_us * interval '1 microsecond') filter (where e.event in ('acquired', 'extended'))
                   as valid_until
        from holdfast.lock_history e
        where e.event in ('acquired', 'extended', 'released', 'lost', 'overrun')
        group by e.lock_key, e.job_id, e.fence) h
    where h.acquired_at is not null) o
where extract(epoch from o.acquired_at) < o.busy[1];
comment on view holdfast.lock_overlaps is
    'Holds that began while an earlier hold of their key lasted, each with the earlier one that lasted longest: must be '
    'empty. Example: select * from holdfast.lock_overlaps;';

create view holdfast.unclosed_holds as
select u.*
from (
    select a.lock_key, a.job_id, a.attempt, a.worker_id, a.fence, a.at as acquired_at,
           greatest(a.at + a.validity_us * interval '1 microsecond', (
               select max(x.at + x.validity_us * interval '1 microsecond')
               from holdfast.lock_history x
               where x.job_id = a.job_id and x.fence = a.fence and x.event = 'extended'
                   and x.at >= a.at and x.at <= a.at + interval '8 days')) as valid_until
    from holdfast.lock_history a
    where a.event = 'acquired' and not exists (
        select
        from holdfast.lock_history h
        where h.job_id = a.job_id and h.fence = a.fence and h.event in ('released', 'lost', 'overrun', 'rescued'))) u
where u.valid_until < clock_timestamp() - interval '1 minute';
comment on view holdfast.unclosed_holds is
    'Holds that are over since a minute or more, and whose end nobody has recorded, nor their rescue: must be empty while '
    'PostgreSQL and a worker are up. Example: select * from holdfast.unclosed_holds;';

-- Seals ----------------------------------------------------------------------------------------------------------

create view holdfast.history_digests as
select h.id, h.at, (h.at at time zone 'UTC')::date as day,
       sha256(convert_to(jsonb_build_array(
           h.id, extract(epoch from h.at), h.event, h.lock_key, h.job_id, h.attempt, h.worker_id, h.fence, h.token, h.votes,
           h.validity_us, h.waited_us, h.held_us, h.reason, h.outcome)::text, 'UTF8')) as digest
from holdfast.lock_history h;
comment on view holdfast.history_digests is
    'The digest of each row of the history: SHA-256 of its columns as a JSON array, whatever a session''s settings. '
    'Example: select encode(digest, ''hex'') from holdfast.history_digests where id = 42;';

create table holdfast.history_seals (
    number    bigint      not null,
    kind      text        not null default 'sealed',
    sealed_at timestamptz not null,
    day       date        not null,
    after_id  bigint      not null,
    upto_id   bigint      not null,
    ids       bigint[]    not null default '{}',
    digests   bytea       not null default '',
    rows_hash bytea       not null default sha256(''),
    seal      bytea       not null,
    constraint history_seals_pkey primary key (number),
    constraint seal_kind check (kind in ('sealed', 'dropped')),
    constraint digest_for_each_row check (octet_length(digests) = 8 * cardinality(ids))
);
create index history_seals_upto on holdfast.history_seals (upto_id);
comment on table holdfast.history_seals is
    'The hash chain over the lock history. Each seal covers the rows of one day with ids in a range, and the seal before it.';
comment on column holdfast.history_seals.number is 'Its place in the chain, from 1, without gaps.';
comment on column holdfast.history_seals.kind is 'sealed: it covers rows; dropped: a day''s partition was dropped by retention.';
comment on column holdfast.history_seals.sealed_at is 'When it was made.';
comment on column holdfast.history_seals.day is 'The day (UTC) of the rows that it covers.';
comment on column holdfast.history_seals.after_id is 'It covers rows with ids above this one.';
comment on column holdfast.history_seals.upto_id is 'And up to this one: whoever could have used a lower id is done.';
comment on column holdfast.history_seals.ids is 'The ids of its rows.';
comment on column holdfast.history_seals.digests is 'The first 8 bytes of each row''s digest: they tell which row is not as it was.';
comment on column holdfast.history_seals.rows_hash is 'SHA-256 of the digests of its rows, in the order of ids.';
comment on column holdfast.history_seals.seal is 'SHA-256 of the seal before it and all the other columns.';

create table holdfast.history_sealing (
    upto_id bigint not null,
    writers text[] not null
);
comment on table holdfast.history_sealing is 'Where the next seals end, once those who were writing have ended; one row, or none.';
comment on column holdfast.history_sealing.upto_id is 'The highest id that had been drawn.';
comment on column holdfast.history_sealing.writers is 'The transactions that were writing history then, and may have drawn a lower one.';

create function holdfast.seal_of(before bytea, s holdfast.history_seals) returns bytea language sql stable as $$
    select sha256(before || convert_to(jsonb_build_array(
        s.number, s.kind, extract(epoch from s.sealed_at), s.day, s.after_id, s.upto_id, s.ids,
        encode(sha256(s.digests), 'hex'), encode(s.rows_hash, 'hex'))::text, 'UTF8'))
$$;
comment on function holdfast.seal_of(bytea, holdfast.history_seals) is 'What a seal must be, after the one before it.';

create function holdfast.append_seal(new holdfast.history_seals) returns holdfast.history_seals language plpgsql as $$
declare
    last holdfast.history_seals;
begin
    select * into last from holdfast.history_seals order by number desc limit 1;
    new.number := coalesce(last.number, 0) + 1;
    new.sealed_at := clock_timestamp();
    new.after_id := coalesce(new.after_id, last.upto_id, 0);
    new.upto_id := coalesce(new.upto_id, last.upto_id, 0);
    new.ids := coalesce(new.ids, '{}');
    new.digests := coalesce(new.digests, '');
    new.rows_hash := coalesce(new.rows_hash, sha256(''));
    new.seal := holdfast.seal_of(coalesce(last.seal, ''), new);
    insert into holdfast.history_seals select new.*;
    return new;
end
$$;
comment on function holdfast.append_seal(holdfast.history_seals) is
    'Adds to the chain; the caller has the advisory lock holdfast.seal_history.';

create function holdfast.history_writers() returns text[] language sql as $$
    -- Who inserts has this lock from before it draws an id until its transaction has ended.
    select coalesce(array_agg(l.virtualtransaction), '{}')
    from pg_locks l
    where l.locktype = 'relation' and l.relation = 'holdfast.lock_history'::regclass and l.granted
        and l.database = (select d.oid from pg_database d where d.datname = current_database())
        and l.mode = 'RowExclusiveLock'
$$;
comment on function holdfast.history_writers() is 'The transactions that have written history, or are about to.';

create function holdfast.seal_history(most integer default 20000) returns integer
language plpgsql security definer set search_path = pg_catalog, holdfast, pg_temp as $$
declare
    mark   holdfast.history_sealing;
    after  bigint;
    upto   bigint;
    new    holdfast.history_seals;
    sealed integer := 0;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('holdfast.seal_history', 0)) then return 0; end if;
    select * into mark from holdfast.history_sealing;
    if not found then
        select case when s.is_called then s.last_value else 0 end into mark.upto_id from holdfast.lock_history_id_seq s;
        -- After the id, so that nobody who could have drawn a lower one is missed. Their commits show before their locks go.
        mark.writers := holdfast.history_writers();
        if mark.writers <> '{}' then
            insert into holdfast.history_sealing select mark.*;
            return 0;
        end if;
    elsif mark.writers && holdfast.history_writers() then
        return 0;
    end if;
    select coalesce(max(s.upto_id), 0) into after from holdfast.history_seals s;
    while after < mark.upto_id and sealed < most loop
        select h.id into upto
        from holdfast.lock_history h
        where h.id > after and h.id <= mark.upto_id
        order by h.id
        offset 999
        limit 1;
        upto := coalesce(upto, mark.upto_id);
        for new.day, new.ids, new.digests, new.rows_hash in
            select d.day, array_agg(d.id order by d.id), string_agg(substr(d.digest, 1, 8), '' order by d.id),
                   sha256(string_agg(d.digest, '' order by d.id))
            from holdfast.history_digests d
            where d.id > after and d.id <= upto
            group by d.day
            order by d.day
        loop
            new.kind := 'sealed';
            new.after_id := after;
            new.upto_id := upto;
            perform holdfast.append_seal(new);
            sealed := sealed + cardinality(new.ids);
        end loop;
        after := upto;
    end loop;
    if after >= mark.upto_id then delete from holdfast.history_sealing; end if;
    return sealed;
end
$$;
comment on function holdfast.seal_history(integer) is
    'Seals rows of the history that are not sealed yet, in the order of their ids, about so many at most; returns how many. '
    'It locks nobody out: it leaves ids alone until every transaction that could still use a lower one has ended. '
    'The upkeep calls it each second. Example: select holdfast.seal_history();';

create view holdfast.seal_head as
select s.number, s.number || ':' || encode(s.seal, 'hex') as head, s.sealed_at, s.upto_id
from holdfast.history_seals s
order by s.number desc
limit 1;
comment on view holdfast.seal_head is
    'The newest seal: kept elsewhere, it shows later that nothing before it was changed. Example: select head from holdfast.seal_head;';

create function holdfast.verify_seals(first bigint, last bigint)
returns table (number bigint, history_id bigint, problem text) language plpgsql stable as $$
declare
    s       holdfast.history_seals;
    before  holdfast.history_seals;
    oldest  bigint := (select min(h.number) from holdfast.history_seals h);
    dropped date[] := (select coalesce(array_agg(h.day), '{}') from holdfast.history_seals h where h.kind = 'dropped');
    since   timestamptz;
    until   timestamptz;
    hash    bytea;
    low     bigint;
    high    bigint;
    differs boolean := false;
begin
    select * into before from holdfast.history_seals h where h.number = first - 1;
    for s in select * from holdfast.history_seals h where h.number between first and last order by h.number loop
        if s.number = oldest then
            -- What was before it is gone with its rows, and it is where the chain begins.
            if s.number = 1 and s.seal <> holdfast.seal_of('', s)
                or s.number > 1 and s.kind = 'sealed' and s.day <> all (dropped)
            then
                number := s.number;
                history_id := null;
                problem := case when s.number = 1 then 'the seal was changed' else 'the seals before it were removed' end;
                return next;
            end if;
        elsif before.number is distinct from s.number - 1 or s.seal <> holdfast.seal_of(before.seal, s)
            or s.after_id not in (before.upto_id, before.after_id)
        then
            number := s.number;
            history_id := null;
            problem := 'the seal was changed, or the one before it was changed or removed';
            return next;
        end if;
        before := s;
        low := least(low, s.after_id);
        high := greatest(high, s.upto_id);
        continue when s.kind = 'dropped' or s.day = any (dropped);
        since := s.day::timestamp at time zone 'UTC';
        until := since + interval '24 hours';
        select sha256(string_agg(d.digest, '' order by d.id)) into hash
        from holdfast.history_digests d
        where d.id > s.after_id and d.id <= s.upto_id and d.at >= since and d.at < until;
        continue when hash = s.rows_hash;
        differs := true;
        for number, history_id, problem in
            select s.number, coalesce(f.id, w.id),
                   case when f.id is null then 'removed' when w.id is null then 'inserted' else 'changed' end
            from (
                select d.id, substr(d.digest, 1, 8) as digest
                from holdfast.history_digests d
                where d.id > s.after_id and d.id <= s.upto_id and d.at >= since and d.at < until) f
            full join (
                select i.id, substr(s.digests, i.place::integer * 8 - 7, 8) as digest
                from unnest(s.ids) with ordinality as i(id, place)) w on w.id = f.id
            where f.digest is distinct from w.digest
            order by 2
        loop
            return next;
        end loop;
        if not found then
            number := s.number;
            history_id := null;
            problem := 'its rows are not those that were sealed';
            return next;
        end if;
    end loop;
    -- Rows of days that have no seal for their ids.
    if first <= oldest then low := '-9223372036854775808'; end if;
    if not differs and (select count(*) from holdfast.lock_history h where h.id > low and h.id <= high)
        = (select coalesce(sum(cardinality(h.ids)), 0) from holdfast.history_seals h
           where h.number between first and last and h.kind = 'sealed' and h.day <> all (dropped))
    then
        return;
    end if;
    return query
        select null::bigint, d.id, 'inserted'
        from holdfast.lock_history d
        where d.id > low and d.id <= high and not exists (
            select
            from holdfast.history_seals h
            where h.kind = 'sealed' and h.day = (d.at at time zone 'UTC')::date and h.after_id < d.id and h.upto_id >= d.id)
        order by d.id;
end
$$;
comment on function holdfast.verify_seals(bigint, bigint) is
    'Computes seals of the chain again, by their numbers: a row for each history row that was changed, removed or inserted '
    'since, and for each seal that is not what it must be. Empty, or something is wrong. '
    'Example: select * from holdfast.verify_seals(1, 1000);';

create function holdfast.unrecorded_effects(keys text[], fences bigint[])
returns table (lock_key text, fence bigint, recorded bigint) language sql stable as $$
    select e.key, e.fence, r.fence
    from unnest(keys, fences) as e(key, fence)
    left join lateral (
        select h.fence
        from holdfast.lock_history h
        where h.lock_key = e.key and h.event = 'acquired'
        order by h.at desc
        limit 1) r on true
    where e.fence > coalesce(r.fence, (
        -- What is older than the history says nothing about it.
        select h.fence - 1
        from holdfast.lock_history h
        where h.event = 'acquired' and (
            exists (select from holdfast.history_seals s where s.kind = 'dropped')
            or (select min(s.number) from holdfast.history_seals s) > 1)
        order by h.id
        limit 1), 0)
$$;
comment on function holdfast.unrecorded_effects(text[], bigint[]) is
    'Of fences that were found on the value node, those that are higher than the history knows: effects without a record. '
    'Must be empty; holdfast audit verify asks it for all keys. '
    'Example: select * from holdfast.unrecorded_effects(array[''demo''], array[42]);';

-- Partitions -----------------------------------------------------------------------------------------------------

drop function holdfast.make_partitions(integer);
create function holdfast.make_partitions(days_ahead integer, days_back integer default 1) returns integer
language plpgsql security definer set search_path = pg_catalog, holdfast, pg_temp as $$
declare
    parent    text;
    partition text;
    day       timestamptz;
    made      integer := 0;
begin
    -- One at a time: two makers of one partition would get in each other's way.
    perform pg_advisory_xact_lock(hashtextextended('holdfast.make_partitions', 0));
    foreach parent in array array['finished_jobs', 'lock_history'] loop
        -- Yesterday too: an event may be written some time after it happened.
        for n in -days_back .. days_ahead loop
            day := date_trunc('day', clock_timestamp(), 'UTC') + make_interval(hours => 24 * n);
            partition := parent || to_char(day at time zone 'UTC', '_YYYYMMDD');
            continue when to_regclass('holdfast.' || partition) is not null;
            -- Made by itself and attached then: that does not lock out those who read and write the parent. It has no
            -- grants: whoever may use the parent uses it through that.
            execute format('create table holdfast.%I (like holdfast.%I including defaults including constraints)',
                partition, parent);
            if parent = 'lock_history' then
                execute format('create trigger not_truncated before truncate on holdfast.%I '
                    'for each statement execute function holdfast.refuse_change()', partition);
            end if;
            execute format('comment on table holdfast.%I is %L',
                partition, parent || ' of ' || to_char(day at time zone 'UTC', 'YYYY-MM-DD') || ' (UTC)');
            execute format('alter table holdfast.%I attach partition holdfast.%I for values from (%L) to (%L)',
                parent, partition, day, day + interval '24 hours');
            made := made + 1;
        end loop;
    end loop;
    return made;
end
$$;
comment on function holdfast.make_partitions(integer, integer) is
    'Makes the daily partitions from so many days back to so many ahead (UTC), those that are missing; returns how many it '
    'made. Example: select holdfast.make_partitions(7);';

create or replace function holdfast.drop_partitions(finished_days integer, history_days integer) returns setof text
language plpgsql security definer set search_path = pg_catalog, holdfast, pg_temp as $$
declare
    old  record;
    seal holdfast.history_seals;
begin
    -- Whoever reads a partition for long is not waited for, nor made others wait behind us: the next time will do.
    set local lock_timeout = '500ms';
    for old in
        select c.relname, p.relname as parent
        from pg_inherits i
        join pg_class c on c.oid = i.inhrelid
        join pg_class p on p.oid = i.inhparent
        join pg_namespace n on n.oid = p.relnamespace
        where n.nspname = 'holdfast' and p.relname in ('finished_jobs', 'lock_history')
            and to_date(right(c.relname, 8), 'YYYYMMDD')
                < (clock_timestamp() at time zone 'UTC')::date
                    - greatest(case p.relname when 'finished_jobs' then finished_days else history_days end, 1)
        order by c.relname
    loop
        begin
            if old.parent = 'lock_history' then
                -- Before the table: whoever seals has this lock, and wants the table then.
                perform pg_advisory_xact_lock(hashtextextended('holdfast.seal_history', 0));
                seal.kind := 'dropped';
                seal.day := to_date(right(old.relname, 8), 'YYYYMMDD');
                perform holdfast.append_seal(seal);
            end if;
            execute format('drop table holdfast.%I', old.relname);
            return next old.relname;
        exception when lock_not_available then
            null;
        end;
    end loop;
    -- The last seal before the first whose rows are there is where the chain begins.
    delete from holdfast.history_seals s
    where s.number < (
        select coalesce(min(k.number) - 1, (select max(m.number) from holdfast.history_seals m))
        from holdfast.history_seals k
        where k.kind = 'sealed' and not exists (
            select from holdfast.history_seals d where d.kind = 'dropped' and d.day = k.day));
end
$$;
comment on function holdfast.drop_partitions(integer, integer) is
    'Drops the partitions of finished jobs and of the lock history that are older than so many days, one at least; the chain '
    'of seals says which. Returns their names. Example: select holdfast.drop_partitions(30, 400);';

-- Roles ----------------------------------------------------------------------------------------------------------

-- They belong to the server, which may have several databases with Holdfast in them, and these may be migrated at once.
do $$
declare
    made record;
begin
    for made in
        select *
        from (values
            ('holdfast_intake', 'Holdfast''s intake: submits jobs, and does what its API offers.'),
            ('holdfast_worker', 'Holdfast''s workers: claim, settle, write history, keep the tables in shape.'),
            ('holdfast_auditor', 'Reads all of Holdfast, and changes nothing.')) as r(name, comment)
    loop
        continue when exists (select from pg_roles r where r.rolname = made.name);
        begin
            execute format('create role %I nologin', made.name);
            execute format('comment on role %I is %L', made.name, made.comment);
        exception
            when duplicate_object or unique_violation then null;
            when insufficient_privilege then
                raise exception 'the role % is missing, and may not be made by %', made.name, current_user
                    using errcode = 'insufficient_privilege', hint = format('Have an administrator do: create role %I;', made.name);
        end;
    end loop;
end
$$;

grant usage on schema holdfast to holdfast_intake, holdfast_worker, holdfast_auditor;
-- What is granted is listed below, for functions too.
revoke execute on all functions in schema holdfast from public;
alter default privileges in schema holdfast revoke execute on functions from public;

-- All may read the version of the schema.
grant select on holdfast.schema_migrations to holdfast_intake, holdfast_worker;

-- The intake.
grant select on holdfast.jobs, holdfast.finished_jobs, holdfast.key_lines, holdfast.queues, holdfast.workers,
    holdfast.leaders, holdfast.lock_history, holdfast.lock_holds, holdfast.job_attempts, holdfast.current_holds to holdfast_intake;
grant insert on holdfast.jobs, holdfast.key_lines to holdfast_intake;
-- It takes the line's lock.
grant update (priority) on holdfast.key_lines to holdfast_intake;
grant select, usage on sequence holdfast.jobs_id_seq to holdfast_intake;
grant execute on function
    holdfast.submit(text, text, text, text, integer, timestamptz, integer, integer, integer, integer, jsonb, text, text),
    holdfast.reserve_ids(text[], bytea[]),
    holdfast.job_digest(text, text, text, text, integer, timestamptz, integer, integer, integer, integer, jsonb),
    holdfast.queue_limits(), holdfast.pause(text), holdfast.resume(text), holdfast.limit_queue(text, integer, integer),
    holdfast.cancel(bigint), holdfast.retry(bigint), holdfast.set_priority(bigint, integer),
    holdfast.job_timeline(bigint), holdfast.who_held(text, timestamptz), holdfast.why_waiting(bigint),
    holdfast.rfc3339(timestamptz), holdfast.event_json(holdfast.lock_history)
    to holdfast_intake;
-- To compare what clients show with the hashes of their secrets.
grant select on holdfast.tokens to holdfast_intake;

-- Workers.
grant select, update, delete on holdfast.jobs, holdfast.key_lines to holdfast_worker;
grant insert on holdfast.finished_jobs to holdfast_worker;
grant select, insert on holdfast.lock_history to holdfast_worker;
grant select, insert, update, delete on holdfast.workers, holdfast.leaders to holdfast_worker;
grant select on holdfast.queues to holdfast_worker;
grant select, delete on holdfast.idempotency_keys to holdfast_worker;
grant usage on sequence holdfast.fence, holdfast.worker_id_seq to holdfast_worker;
grant execute on function
    holdfast.join_lines(timestamptz, integer), holdfast.make_partitions(integer, integer),
    holdfast.drop_partitions(integer, integer), holdfast.seal_history(integer)
    to holdfast_worker;

-- Auditors read all but secrets.
grant select on all tables in schema holdfast to holdfast_auditor;
revoke select on holdfast.tokens from holdfast_auditor;
grant execute on function
    holdfast.who_held(text, timestamptz), holdfast.holders_between(text, timestamptz, timestamptz),
    holdfast.job_timeline(bigint), holdfast.key_contention(interval), holdfast.node_votes(interval),
    holdfast.unrecorded_effects(text[], bigint[]), holdfast.verify_seals(bigint, bigint),
    holdfast.seal_of(bytea, holdfast.history_seals), holdfast.doctor(), holdfast.why_waiting(bigint),
    holdfast.rfc3339(timestamptz), holdfast.event_json(holdfast.lock_history)
    to holdfast_auditor;

-- What takes more than its callers may do by themselves runs as the owner, and looks nowhere else for what it names.
do $$
declare
    f regprocedure;
begin
    foreach f in array array[
        'holdfast.submit(text, text, text, text, integer, timestamptz, integer, integer, integer, integer, jsonb, text, text)',
        'holdfast.reserve_ids(text[], bytea[])', 'holdfast.queue_limits()', 'holdfast.pause(text)', 'holdfast.resume(text)',
        'holdfast.limit_queue(text, integer, integer)', 'holdfast.cancel(bigint)', 'holdfast.retry(bigint)',
        'holdfast.set_priority(bigint, integer)', 'holdfast.join_lines(timestamptz, integer)', 'holdfast.repair()'
    ]::regprocedure[] loop
        execute format('alter function %s security definer set search_path = pg_catalog, holdfast, pg_temp', f);
    end loop;
end
$$;
