-- The audit: questions to the lock history, and its seals.
--
-- A history may have hundreds of partitions. A statement that may need any of them is planned for all, which takes longer
-- than to answer it. So these questions are planned anew each time, with bounds in time that leave a few; or, when nothing
-- is known of the time, once for each connection.

-- Events ---------------------------------------------------------------------------------------------------------

create function holdfast.event_json(event holdfast.lock_history) returns text language sql stable as $$
    select json_strip_nulls(json_build_object(
        'id', event.id, 'at', holdfast.rfc3339(event.at), 'event', event.event, 'key', event.lock_key,
        'job', event.job_id, 'attempt', event.attempt, 'worker', event.worker_id, 'fence', event.fence,
        'votes', holdfast.votes_json(event.votes, event.node_set), 'validityUs', event.validity_us,
        'waitedUs', event.waited_us, 'heldUs', event.held_us, 'reason', event.reason, 'outcome', event.outcome,
        'jobs', event.jobs, 'fences', event.fences))::text
$$;
comment on function holdfast.event_json(holdfast.lock_history) is
    'A lock event as the HTTP API shows it. Example: select holdfast.event_json(h) from holdfast.lock_history h where job_id = 42 order by id;';

create view holdfast.events as
select h.id, h.at, h.event, h.lock_key, h.job_id, h.attempt, h.worker_id, h.fence, h.outcome, h.reason, h.waited_us,
       h.held_us, h.validity_us, holdfast.votes_json(h.votes, h.node_set) as votes, h.jobs, h.fences, h.token_digest
from holdfast.lock_history h;
comment on view holdfast.events is
    'The lock history for people: its columns in the order in which they are read, and the votes by name. '
    'Example: select * from holdfast.events where lock_key = ''demo'' order by at, id;';

create function holdfast.events_after(
    after_id bigint, upto_id bigint, most integer, key text default null, job bigint default null)
returns table (id bigint, lock_key text, job_id bigint, event text, body text)
language plpgsql stable set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
declare
    low   bigint := after_id;
    high  bigint;
    since timestamptz;
    until timestamptz;
    got   integer;
    size  bigint := 10000;
begin
    -- Numbers are found by blocks, and sorted then: who is far behind gets a part of them at a time, and not the rest of a
    -- year for each page. A part that has too few for a page is followed by one twice as long.
    while most > 0 and low < upto_id loop
        select n.event_id, n.at + interval '1 day' into high, until
        from holdfast.drawn_numbers n
        where n.event_id >= low + size
        order by n.event_id, n.at
        limit 1;
        if high is null or high >= upto_id then
            high := upto_id;
            until := 'infinity';
        end if;
        since := holdfast.event_since(low + 1);
        return query
            select h.id, h.lock_key, h.job_id, h.event::text, holdfast.event_json(h)
            from holdfast.lock_history h
            where h.at >= since and h.at <= until and h.id > low and h.id <= high
                and (events_after.key is null or h.lock_key = events_after.key) and (job is null or h.job_id = job)
            order by h.id
            limit most;
        get diagnostics got = row_count;
        most := most - got;
        low := high;
        size := size * 2;
    end loop;
end
$$;
comment on function holdfast.events_after(bigint, bigint, integer, text, bigint) is
    'Events with a number above one and up to another, in their order, so many at most; of a key or a job only, if one is '
    'given. The intake tells its listeners. Example: select * from holdfast.events_after(0, 1000, 10);';

create function holdfast.last_event() returns bigint language plpgsql stable set plan_cache_mode = force_custom_plan as $$
declare
    span  interval;
    since timestamptz;
    last  bigint;
begin
    -- The latest events are in the last of these times that have any: a day is not read to find them.
    foreach span in array array['5 seconds', '1 minute', '1 hour', '1 day']::interval[] loop
        since := now() - span;
        select max(h.id) into last from holdfast.lock_history h where h.at >= since;
        exit when last is not null;
    end loop;
    return coalesce(last, (select max(n.event_id) from holdfast.drawn_numbers n), 0);
end
$$;
comment on function holdfast.last_event() is
    'A number that the events of the last day have at most, and later ones do not: the highest of them, if there are any. '
    'Example: select holdfast.last_event();';

-- Holds ----------------------------------------------------------------------------------------------------------

create function holdfast.holds_of(key text, since timestamptz, until timestamptz, most integer default null)
returns setof holdfast.lock_holds language plpgsql stable set plan_cache_mode = force_custom_plan as $$
declare
    -- A hold ends within 8 days, as no attempt may run longer than 7.
    last timestamptz := until + interval '8 days';
begin
    return query
        select (a.hold).lock_key, s.job_id, s.attempt, (a.hold).worker_id, s.fence, s.began_at, s.ended_at, s.ended_by,
               v.valid_until, s.reason, case when s.ordinal = 1 then (a.hold).waited_us end, s.held_us,
               holdfast.votes_json((a.hold).votes, (a.hold).node_set), (a.hold).token_digest
        from (
            select h as hold
            from holdfast.lock_history h
            where h.lock_key = holds_of.key and h.event = 'acquired' and h.at >= since and h.at <= until
            order by h.at desc
            limit most) a
        cross join lateral holdfast.served_by(a.hold, since, last) s
        cross join lateral holdfast.extended_until(a.hold, since, last) v;
end
$$;
comment on function holdfast.holds_of(text, timestamptz, timestamptz, integer) is
    'The holds of a key that were acquired in a span of time, the latest first, so many at most; as in lock_holds, and '
    'faster. Example: select * from holdfast.holds_of(''demo'', now() - interval ''1 hour'', now());';

create function holdfast.who_held(key text, at timestamptz)
returns setof holdfast.lock_holds language sql stable as $$
    select *
    -- One is enough, as holds of a key don't overlap. More are looked at, so that it shows when they do.
    from holdfast.holds_of(who_held.key, who_held.at - interval '8 days', who_held.at, 8) h
    where h.acquired_at <= who_held.at and who_held.at < coalesce(h.ended_at, h.valid_until)
$$;
comment on function holdfast.who_held(text, timestamptz) is
    'The hold of a key at a moment, with the nodes'' votes and why it ended; no row when nobody held it. A hold without a '
    'recorded end counts until valid_until. Example: select * from holdfast.who_held(''demo'', now() - interval ''1 hour'');';

create function holdfast.holders_between(key text, since timestamptz, until timestamptz)
returns setof holdfast.lock_holds language sql stable as $$
    select *
    from holdfast.who_held(holders_between.key, holders_between.since)
    union all
    select *
    from holdfast.holds_of(holders_between.key, holders_between.since - interval '1 minute', holders_between.until) h
    where h.acquired_at > holders_between.since and h.acquired_at < holders_between.until
$$;
comment on function holdfast.holders_between(text, timestamptz, timestamptz) is
    'The holds of a key that had a part in a span of time, its end not included. '
    'Example: select * from holdfast.holders_between(''demo'', now() - interval ''1 hour'', now()) order by acquired_at;';

create function holdfast.holds_now(after_key text default null, most integer default null)
returns table (lock_key text, job_id bigint, attempt integer, worker_id bigint, worker text, fence bigint,
               acquired_at timestamptz, valid_until timestamptz, held_for interval, votes jsonb)
language plpgsql stable set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
declare
    since timestamptz := (select min(k.claimed_at) - interval '1 minute' from holdfast.key_lines k where k.held_by is not null);
begin
    return query
        select k.lock_key, c.job_id, c.attempt, c.worker_id, w.name, c.fence, c.began_at, c.valid_until,
               clock_timestamp() - c.began_at, holdfast.votes_json(c.votes, c.node_set)
        from holdfast.key_lines k
        cross join lateral holdfast.current_hold(k, since) c
        left join holdfast.workers w on w.id = c.worker_id
        where k.held_by is not null and (after_key is null or k.lock_key > after_key)
        order by k.lock_key
        limit most;
end
$$;
comment on function holdfast.holds_now(text, integer) is
    'The rows of current_holds by key: of keys after one, so many at most, if these are given. '
    'Example: select * from holdfast.holds_now(''demo'', 100);';

create view holdfast.current_holds as
select lock_key, job_id, attempt, worker_id, worker, fence, acquired_at, valid_until, held_for, votes
from holdfast.holds_now();
comment on view holdfast.current_holds is
    'The holds that last, or whose end has not been recorded yet. valid_until is what has been recorded: extensions are '
    'written with the next settlement. Example: select * from holdfast.current_holds order by held_for desc;';

-- Jobs, keys and nodes -------------------------------------------------------------------------------------------

create function holdfast.job_history(job_id bigint, since timestamptz, until timestamptz)
returns setof holdfast.lock_history language plpgsql stable set plan_cache_mode = force_custom_plan as $$
begin
    return query
        with own as materialized (
            select h.*
            from holdfast.lock_history h
            where h.job_id = job_history.job_id and h.at >= job_history.since and h.at <= job_history.until)
        select o.*
        from own o
        union all
        -- Under a hold that another job passed on, it has no acquisition of its own.
        select a.*
        from (
            select distinct on (e.fence) e.lock_key, e.fence, e.at
            from own e
            where (holdfast.is_end(e.event) or e.event = 'rescued')
                and not exists (select from own f where f.event = 'acquired' and f.fence = e.fence)
            order by e.fence, e.at) e
        cross join lateral holdfast.hold_serving(e.lock_key, e.fence, e.at, job_history.since, job_history.until) a;
end
$$;
comment on function holdfast.job_history(bigint, timestamptz, timestamptz) is
    'The events of a job in a span of time, and of those holds that other jobs passed on to it the acquisitions. '
    'Example: select * from holdfast.job_history(42, now() - interval ''1 day'', now()) order by at, id;';

create function holdfast.job_timeline(job_id bigint)
returns table (at timestamptz, event text, attempt integer, worker_id bigint, fence bigint, waited interval, held interval,
               outcome text, votes text, reason text)
language plpgsql stable as $$
#variable_conflict use_column
declare
    job   holdfast.finished_jobs;
    since timestamptz := holdfast.job_since(job_timeline.job_id);
begin
    select * into job from holdfast.find_job(job_timeline.job_id);
    if found then
        -- Nothing happened to it before; the day is for a clock that was set.
        since := job.submitted_at - interval '1 day';
        return query select job.submitted_at, 'submitted', null::integer, null::bigint, null::bigint, null::interval,
            null::interval, null::text, null::text, 'key ' || job.lock_key;
    end if;
    return query
        with events as materialized (
            select h.*, case when h.job_id = job_timeline.job_id then h.fence
                else h.fences[array_position(h.jobs, job_timeline.job_id)] end as own_fence
            from holdfast.job_history(job_timeline.job_id, since, coalesce(job.finished_at + interval '8 days', 'infinity')) h)
        select e.at, e.event::text,
               case when e.job_id = job_timeline.job_id then e.attempt else (
                   select min(o.attempt) from events o where o.fence = e.own_fence and o.job_id = job_timeline.job_id) end,
               e.worker_id, e.own_fence,
               case when e.job_id = job_timeline.job_id then e.waited_us * interval '1 microsecond' end,
               e.held_us * interval '1 microsecond', e.outcome, holdfast.votes_text(e.votes, false, e.node_set),
               case when e.job_id = job_timeline.job_id then e.reason
                   else 'for job ' || e.job_id || ' and those behind it' end
        from events e
        order by e.at, e.own_fence, array_position(array['waiting', 'acquired', 'extended']::holdfast.lock_event[], e.event);
    if job.finished_at is not null then
        return query select job.finished_at, job.state, job.attempt, job.worker_id, job.fence, null::interval,
            null::interval, null::text, null::text, job.error;
    end if;
end
$$;
comment on function holdfast.job_timeline(bigint) is
    'All that happened to a job, oldest first, with the verdict of each lock node; of a job under a hold that another passed '
    'on, the acquisition of that hold too. Example: select * from holdfast.job_timeline(42);';

create function holdfast.attempts_between(since timestamptz, until timestamptz)
returns table (job_id bigint, attempt integer, lock_key text, worker_id bigint, fence bigint, started_at timestamptz,
               ended_at timestamptz, outcome text, reason text) language sql stable as $$
    -- One reading of the history: joined with itself by a job, it was planned for all pairs of partitions, for a minute.
    select b.job_id, b.attempt, b.lock_key, b.worker_id, b.fence, b.started_at, (b.ends[1]).at,
           case when (b.ends[1]).event in ('refused', 'rescued') then (b.ends[1]).event::text
                else coalesce((b.ends[1]).outcome, (b.ends[1]).event::text) end,
           (b.ends[1]).reason
    from (
        select a.*,
               -- Of a job that another passed its hold on to, its end says when it began; of one whose worker died then, how
               -- far the hold had come does.
               coalesce(a.acquired_at, a.began_at, case when a.was_rescued then (
                   select s.began_at
                   from holdfast.hold_serving(a.lock_key, a.fence, a.last_at, since, until) h
                   cross join lateral holdfast.served_by(h, since, until) s
                   where s.fence = a.fence) end) as started_at
        from (
            select h.job_id, h.lock_key, h.fence, max(h.at) as last_at, bool_or(h.event = 'rescued') as was_rescued,
                   min(h.at) filter (where h.event = 'acquired') as acquired_at,
                   min(h.at - h.held_us * interval '1 microsecond') filter (where holdfast.is_end(h.event)) as began_at,
                   min(h.attempt) as attempt, min(h.worker_id) as worker_id,
                   -- Of a worker that came back too late, what it wanted to record does not count.
                   array_agg(h order by h.event <> 'refused', h.event = 'rescued', h.at) filter (where h.event <> 'acquired')
                       as ends
            from holdfast.lock_history h
            where h.event in ('acquired', 'passed', 'released', 'lost', 'overrun', 'refused', 'rescued')
                and h.at >= since and h.at <= until
            group by h.job_id, h.lock_key, h.fence) a) b
    where b.started_at is not null
$$;
comment on function holdfast.attempts_between(timestamptz, timestamptz) is
    'The rows of job_attempts, of events in a span of time. '
    'Example: select * from holdfast.attempts_between(now() - interval ''1 day'', now()) where job_id = 42;';

create view holdfast.job_attempts as
select job_id, attempt, lock_key, worker_id, fence, started_at, ended_at, outcome, reason
from holdfast.attempts_between('-infinity', 'infinity');
comment on view holdfast.job_attempts is
    'One row for each attempt that had its lock: who ran it, from when to when, with which fence, and how it ended; '
    'ended_at is null while it runs. Example: select * from holdfast.job_attempts where job_id = 42 order by started_at;';

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
               stepped bigint, refused bigint, p50_us bigint, p99_us bigint) language sql stable as $$
    select v.node, count(*),
           count(*) filter (where v.verdict = 'granted'), count(*) filter (where v.verdict = 'held'),
           count(*) filter (where v.verdict = 'unreachable'), count(*) filter (where v.verdict = 'late'),
           count(*) filter (where v.verdict = 'quarantined'), count(*) filter (where v.verdict = 'stepped'),
           count(*) filter (where v.verdict = 'refused'),
           percentile_disc(0.5) within group (order by v.us), percentile_disc(0.99) within group (order by v.us)
    from holdfast.lock_history h
    cross join lateral holdfast.votes_of(h.votes, h.node_set) v
    where h.at >= now() - for_last
    group by v.node
    order by v.node
$$;
comment on function holdfast.node_votes(interval) is
    'What each lock node answered in the last time, when it was asked to lock, extend or release, and how fast. '
    'Example: select * from holdfast.node_votes(''1 hour'');';

-- Checks ---------------------------------------------------------------------------------------------------------

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
        -- A hold ends with that of its jobs which closed it, whichever it was.
        select f.lock_key, f.hold, max(f.first_fence) as fence, min(f.acquired_at) as acquired_at,
               min(f.ended_at) as ended_at, max(f.valid_until) as valid_until
        from (
            select e.lock_key, e.fence, max(e.hold) as hold, max(e.first_fence) as first_fence,
                   min(e.at) filter (where e.event = 'acquired') as acquired_at,
                   min(e.at) filter (where holdfast.closes_hold(e.event)) as ended_at,
                   max(e.at + e.validity_us * interval '1 microsecond') filter (where e.event in ('acquired', 'extended'))
                       as valid_until
            from (
                -- A job that a hold came to no more is named by the next one again: its fence belongs to that.
                select h.lock_key, f.fence, h.id as hold, h.fence as first_fence,
                       case when f.fence = h.fence then h.at end as at, case when f.fence = h.fence then h.event end as event,
                       h.validity_us
                from holdfast.lock_history h
                cross join lateral unnest(coalesce(h.fences, array[h.fence])) as f(fence)
                where h.event = 'acquired'
                union all
                select h.lock_key, h.fence, null, null, h.at, h.event, h.validity_us
                from holdfast.lock_history h
                where h.event = 'extended' or holdfast.closes_hold(h.event)) e
            group by e.lock_key, e.fence) f
        group by f.lock_key, f.hold) h
    where h.acquired_at is not null) o
where extract(epoch from o.acquired_at) < o.busy[1];
comment on view holdfast.lock_overlaps is
    'Holds that began while an earlier hold of their key lasted, each with the earlier one that lasted longest: must be '
    'empty. Example: select * from holdfast.lock_overlaps;';

create view holdfast.fence_regressions as
select *
from (
    select lock_key, id, at, fence,
           max(fence) over (partition by lock_key order by at, id rows between unbounded preceding and 1 preceding)
               as highest_before
    from holdfast.lock_history
    where event = 'acquired') h
where fence <= highest_before;
comment on view holdfast.fence_regressions is
    'Acquisitions whose fence is not above every earlier one of their key: must be empty. '
    'Example: select * from holdfast.fence_regressions;';

create view holdfast.unclosed_holds as
select u.*
from (
    select a.lock_key, a.job_id, a.attempt, a.worker_id, a.fence, a.at as acquired_at, v.valid_until
    from holdfast.lock_history a
    cross join lateral holdfast.extended_until(a, '-infinity', 'infinity') v
    where a.event = 'acquired' and not exists (
        select
        from unnest(coalesce(a.jobs, array[a.job_id]), coalesce(a.fences, array[a.fence])) as s(job_id, fence)
        join holdfast.lock_history h on h.job_id = s.job_id and h.fence = s.fence
            and h.at >= a.at - interval '1 minute'
        where holdfast.closes_hold(h.event) or h.event = 'rescued')) u
where u.valid_until < clock_timestamp() - interval '1 minute';
comment on view holdfast.unclosed_holds is
    'Holds that are over since a minute or more, and whose end nobody has recorded, nor their rescue: must be empty while '
    'PostgreSQL and a worker are up. Example: select * from holdfast.unclosed_holds;';

-- Seals ----------------------------------------------------------------------------------------------------------

create view holdfast.history_digests as
select h.id, h.at, (h.at at time zone 'UTC')::date as day,
       sha256(record_send(row(
           h.id, h.at, h.job_id, h.fence, h.worker_id, h.waited_us, h.held_us, h.attempt, h.validity_us, h.node_set,
           h.event::text, h.lock_key, h.token_digest, h.votes, h.jobs, h.fences, h.outcome, h.reason))) as digest
from holdfast.lock_history h;
comment on view holdfast.history_digests is
    'The digest of each row of the history: SHA-256 of its columns in PostgreSQL''s binary form of a record, which no '
    'session''s setting enters. Example: select encode(digest, ''hex'') from holdfast.history_digests where id = 42;';

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
    'Adds to the chain; the caller has the lock of the duty seal.';

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
language plpgsql security definer set search_path = pg_catalog, holdfast, pg_temp
set jit = off set max_parallel_workers_per_gather = 0 as $$
declare
    mark    holdfast.history_sealing;
    after   bigint;
    until   bigint;
    span    bigint := greatest(most, 1);
    portion record;
    upto    bigint;
    new     holdfast.history_seals;
    sealed  integer := 0;
begin
    perform from holdfast.duties d where d.name = 'seal' for update skip locked;
    if not found then return 0; end if;
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
    -- A span of ids, not a number of rows: the index by blocks knows no order, so the lowest so many of a history that
    -- nobody has sealed for long would be looked for among all of it, each time. A span without rows, where ids were
    -- skipped, is widened.
    upto := after;
    until := after;
    while sealed = 0 and until < mark.upto_id loop
        until := least(mark.upto_id, after + span);
        span := span * 2;
        -- A seal is for at most 1000 rows of a day. Seals of the same rows' days have the same ids as their bounds.
        for portion in
            -- What is aggregated comes in order, so nothing is sorted once more for each aggregate.
            select u.day, array_agg(u.id) as ids, string_agg(substr(u.digest, 1, 8), '') as digests,
                   sha256(string_agg(u.digest, '')) as rows_hash, max(max(u.id)) over (partition by u.place) as last_id,
                   u.place = max(u.place) over () as is_last
            from (
                select d.id, d.day, d.digest, (d.id - after - 1) / 1000 as place
                from holdfast.history_digests d
                where d.id > after and d.id <= until
                order by place, d.day, d.id) u
            group by u.place, u.day
            order by u.place, u.day
        loop
            if portion.ids[1] > upto then after := upto; end if;
            upto := case when portion.is_last then until else portion.last_id end;
            new.kind := 'sealed';
            new.day := portion.day;
            new.ids := portion.ids;
            new.digests := portion.digests;
            new.rows_hash := portion.rows_hash;
            new.after_id := after;
            new.upto_id := upto;
            perform holdfast.append_seal(new);
            sealed := sealed + cardinality(new.ids);
        end loop;
    end loop;
    if until = mark.upto_id then delete from holdfast.history_sealing; end if;
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
        select coalesce(h.fences[cardinality(h.fences)], h.fence) as fence
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

-- Retention ------------------------------------------------------------------------------------------------------

create function holdfast.lock_holders(relations regclass[]) returns text language sql stable
security definer set search_path = pg_catalog, holdfast, pg_temp as $$
    select string_agg(format('process %s (%s%s), in a transaction since %s', h.pid, h.usename,
                             ', ' || nullif(h.application_name, ''), holdfast.rfc3339(h.xact_start)), '; ' order by h.xact_start)
    from (
        select distinct a.pid, a.usename, a.application_name, a.xact_start
        from pg_locks l
        join pg_stat_activity a on a.pid = l.pid
        where l.locktype = 'relation' and l.relation = any (relations::oid[]) and l.granted and l.pid <> pg_backend_pid()
            and l.database = (select d.oid from pg_database d where d.datname = current_database())
        order by a.xact_start
        limit 3) h
$$;
comment on function holdfast.lock_holders(regclass[]) is
    'Who is in the way of one that wants some relations to itself: the first three, in words; null when nobody is. '
    'Example: select holdfast.lock_holders(array[''holdfast.lock_history''::regclass]);';

create function holdfast.drop_partitions(finished_days integer, history_days integer, most integer default null)
returns setof text language plpgsql security definer set search_path = pg_catalog, holdfast, pg_temp
-- Whoever reads a partition for long is not waited for: others would wait behind us.
set lock_timeout = '200ms' as $$
declare
    old     record;
    seal    holdfast.history_seals;
    dropped integer := 0;
    busy    text[] := '{}';
begin
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
        exit when dropped = most;
        continue when old.parent = any (busy);
        begin
            if old.parent = 'lock_history' then
                -- Before the table: whoever seals has this lock, and wants the table then.
                perform from holdfast.duties d where d.name = 'seal' for update;
                seal.kind := 'dropped';
                seal.day := to_date(right(old.relname, 8), 'YYYYMMDD');
                perform holdfast.append_seal(seal);
            end if;
            execute format('drop table holdfast.%I', old.relname);
            dropped := dropped + 1;
            return next old.relname;
        exception when lock_not_available then
            -- The others of the same table are as likely to be in use: a dump reads them all.
            busy := busy || old.parent::text;
        end;
    end loop;
    -- What is older than both is asked for by no number any more.
    delete from holdfast.drawn_numbers n
    where n.at < clock_timestamp() - make_interval(hours => 24 * greatest(finished_days, history_days, 1));
    -- The last seal before the first whose rows are there is where the chain begins.
    delete from holdfast.history_seals s
    where s.number < (
        select coalesce(min(k.number) - 1, (select max(m.number) from holdfast.history_seals m))
        from holdfast.history_seals k
        where k.kind = 'sealed' and not exists (
            select from holdfast.history_seals d where d.kind = 'dropped' and d.day = k.day));
    if dropped = 0 and busy <> '{}' then
        raise exception 'old partitions of % stay for now: % uses them', array_to_string(busy, ' and '),
            coalesce((
                select holdfast.lock_holders(array_agg(c.oid::regclass))
                from pg_class c
                join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'holdfast'
                where c.relname ~ ('^(' || array_to_string(busy, '|') || ')(_[0-9]{8})?$')), 'somebody')
            using errcode = 'lock_not_available';
    end if;
end
$$;
comment on function holdfast.drop_partitions(integer, integer, integer) is
    'Drops the partitions of finished jobs and of the lock history that are older than so many days, one at least; the chain '
    'of seals says which. Returns their names. Each keeps its table locked until the transaction ends: workers drop one at a '
    'time. Example: select holdfast.drop_partitions(30, 400);';
