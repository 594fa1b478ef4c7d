-- Questions to a history of hundreds of days. A statement that may need any of its partitions is planned for all of them,
-- which takes longer than to answer it. So these are planned anew each time, with bounds in time that leave a few; or, when
-- nothing is known of the time, once for each connection.

create function holdfast.holds_of(key text, since timestamptz, until timestamptz, most integer default null)
returns setof holdfast.lock_holds language plpgsql stable set plan_cache_mode = force_custom_plan as $$
declare
    -- A hold ends within 8 days, as no attempt may run longer than 7.
    last timestamptz := until + interval '8 days';
begin
    return query
        select a.lock_key, a.job_id, a.attempt, a.worker_id, a.fence, a.token,
               a.at, (e.ends[1]).at, (e.ends[1]).event,
               coalesce(e.valid_until, a.at + a.validity_us * interval '1 microsecond'),
               (e.ends[1]).reason, a.waited_us, (e.ends[1]).held_us, a.votes
        from (
            select *
            from holdfast.lock_history h
            where h.lock_key = holds_of.key and h.event = 'acquired' and h.at >= since and h.at <= until
            order by h.at desc
            limit most) a
        cross join lateral (
            select max(h.at + h.validity_us * interval '1 microsecond') filter (where h.event = 'extended') as valid_until,
                   array_agg(h order by h.at, h.id) filter (where h.event in ('released', 'lost', 'overrun')) as ends
            from holdfast.lock_history h
            where h.job_id = a.job_id and h.fence = a.fence and h.at >= a.at and h.at <= a.at + interval '8 days'
                and h.event in ('extended', 'released', 'lost', 'overrun')
                -- Known when this is planned.
                and h.at >= since and h.at <= last) e;
end
$$;
comment on function holdfast.holds_of(text, timestamptz, timestamptz, integer) is
    'The holds of a key that were acquired in a span of time, the latest first, so many at most; as in lock_holds, and '
    'faster. Example: select * from holdfast.holds_of(''demo'', now() - interval ''1 hour'', now());';

create or replace function holdfast.who_held(key text, at timestamptz)
returns setof holdfast.lock_holds language sql stable as $$
    select *
    -- One is enough, as holds of a key don't overlap. More are looked at, so that it shows when they do.
    from holdfast.holds_of(who_held.key, who_held.at - interval '8 days', who_held.at, 8) h
    where who_held.at < coalesce(h.ended_at, h.valid_until)
$$;

create or replace function holdfast.holders_between(key text, since timestamptz, until timestamptz)
returns setof holdfast.lock_holds language sql stable as $$
    select *
    from holdfast.who_held(holders_between.key, holders_between.since)
    union all
    select *
    from holdfast.holds_of(holders_between.key, holders_between.since, holders_between.until) h
    where h.acquired_at > holders_between.since and h.acquired_at < holders_between.until
$$;

create or replace function holdfast.job_timeline(job_id bigint)
returns table (at timestamptz, event text, attempt integer, worker_id bigint, fence bigint, waited interval, held interval,
               outcome text, votes text, reason text)
language plpgsql stable set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    job   record;
    since timestamptz := '-infinity';
begin
    select j.lock_key, j.submitted_at, null::timestamptz as finished_at, null::text as state, null::integer as attempt,
           null::bigint as worker_id, null::bigint as fence, null::text as error
    into job
    from holdfast.jobs j
    where j.id = job_timeline.job_id
    union all
    select f.lock_key, f.submitted_at, f.finished_at, f.state, f.attempt, f.worker_id, f.fence, f.error
    from holdfast.finished_jobs f
    where f.id = job_timeline.job_id;
    if found then
        -- Nothing happened to it before; the day is for a clock that was set.
        since := job.submitted_at - interval '1 day';
        return query select job.submitted_at, 'submitted', null::integer, null::bigint, null::bigint, null::interval,
            null::interval, null::text, null::text, 'key ' || job.lock_key;
    end if;
    return query
        select h.at, h.event::text, h.attempt, h.worker_id, h.fence, h.waited_us * interval '1 microsecond',
               h.held_us * interval '1 microsecond', h.outcome,
               (select string_agg(v.vote ->> 'verdict', ',' order by v.place)
                from jsonb_array_elements(h.votes) with ordinality as v(vote, place)),
               h.reason
        from holdfast.lock_history h
        where h.job_id = job_timeline.job_id and h.at >= since
        order by h.at, h.fence, array_position(array['waiting', 'acquired', 'extended']::holdfast.lock_event[], h.event);
    if job.state is not null then
        return query select job.finished_at, job.state, job.attempt, job.worker_id, job.fence, null::interval,
            null::interval, null::text, null::text, job.error;
    end if;
end
$$;

create function holdfast.holds_now()
returns table (lock_key text, job_id bigint, attempt integer, worker_id bigint, worker text, fence bigint,
               acquired_at timestamptz, valid_until timestamptz, held_for interval, votes jsonb)
language plpgsql stable set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
declare
    since timestamptz := (select min(k.claimed_at) - interval '1 minute' from holdfast.key_lines k where k.held_by is not null);
begin
    return query
        select k.lock_key, a.job_id, a.attempt, a.worker_id, w.name, a.fence, a.at,
               coalesce(x.valid_until, a.at + a.validity_us * interval '1 microsecond'), clock_timestamp() - a.at, a.votes
        from holdfast.key_lines k
        cross join lateral (
            select *
            from holdfast.lock_history h
            where h.lock_key = k.lock_key and h.event = 'acquired' and h.at >= k.claimed_at - interval '1 minute'
                and h.at >= since
            order by h.at desc
            limit 1) a
        cross join lateral (
            select max(h.at + h.validity_us * interval '1 microsecond') filter (where h.event = 'extended') as valid_until,
                   bool_or(h.event <> 'extended') as is_over
            from holdfast.lock_history h
            where h.job_id = a.job_id and h.fence = a.fence and h.at >= a.at and h.at >= since
                and h.event in ('extended', 'released', 'lost', 'overrun')) x
        left join holdfast.workers w on w.id = a.worker_id
        where k.held_by is not null and a.fence > k.fence and x.is_over is not true;
end
$$;
comment on function holdfast.holds_now() is 'The rows of current_holds.';

create or replace view holdfast.current_holds as
select lock_key, job_id, attempt, worker_id, worker, fence, acquired_at, valid_until, held_for, votes
from holdfast.holds_now();

-- One reading of the history: joined with itself by a job, it was planned for all pairs of partitions, for a minute.
create or replace view holdfast.job_attempts as
select a.job_id, a.attempt, a.lock_key, a.worker_id, a.fence, a.started_at, (a.ends[1]).at as ended_at,
       case when (a.ends[1]).event in ('refused', 'rescued') then (a.ends[1]).event::text
            else coalesce((a.ends[1]).outcome, (a.ends[1]).event::text) end as outcome,
       (a.ends[1]).reason
from (
    select h.job_id, h.lock_key, h.fence, min(h.at) filter (where h.event = 'acquired') as started_at,
           min(h.attempt) filter (where h.event = 'acquired') as attempt,
           min(h.worker_id) filter (where h.event = 'acquired') as worker_id,
           -- Of a worker that came back too late, what it wanted to record does not count.
           array_agg(h order by h.event <> 'refused', h.event = 'rescued', h.at) filter (where h.event <> 'acquired') as ends
    from holdfast.lock_history h
    where h.event in ('acquired', 'released', 'lost', 'overrun', 'refused', 'rescued')
    group by h.job_id, h.lock_key, h.fence) a
where a.started_at is not null;

create function holdfast.new_events(after_id bigint, most integer)
returns table (id bigint, lock_key text, job_id bigint, event text, json text)
language plpgsql stable set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
    return query
        select h.id, h.lock_key, h.job_id, h.event::text, holdfast.event_json(h)
        from holdfast.lock_history h
        -- An event is written a moment after it happened: a day is more than any delay.
        where h.at > now() - interval '1 day' and h.id > after_id
        order by h.id
        limit most;
end
$$;
comment on function holdfast.new_events(bigint, integer) is
    'Recent events with a higher number, in order, so many at most; the intake tells its listeners. '
    'Example: select * from holdfast.new_events(0, 10);';

grant execute on function holdfast.new_events(bigint, integer) to holdfast_intake;
grant execute on function
    holdfast.holds_of(text, timestamptz, timestamptz, integer), holdfast.holds_now()
    to holdfast_intake, holdfast_auditor;
