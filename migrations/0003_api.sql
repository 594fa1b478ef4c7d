-- What the HTTP API shows: why a job waits, and lock events as JSON.

create function holdfast.rfc3339(moment timestamptz) returns text language sql stable as $$
    select to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;
comment on function holdfast.rfc3339(timestamptz) is
    'A time as the HTTP API writes it. Example: select holdfast.rfc3339(now());';

create function holdfast.event_json(event holdfast.lock_history) returns text language sql stable as $$
    select json_strip_nulls(json_build_object(
        'id', event.id, 'at', holdfast.rfc3339(event.at), 'event', event.event, 'key', event.lock_key,
        'job', event.job_id, 'attempt', event.attempt, 'worker', event.worker_id, 'fence', event.fence,
        'votes', event.votes, 'validityUs', event.validity_us, 'waitedUs', event.waited_us, 'heldUs', event.held_us,
        'reason', event.reason, 'outcome', event.outcome))::text
$$;
comment on function holdfast.event_json(holdfast.lock_history) is
    'A lock event as the HTTP API shows it; without the token, which would let its reader release the lock. '
    'Example: select holdfast.event_json(h) from holdfast.lock_history h where job_id = 42 order by id;';

create function holdfast.why_waiting(job_id bigint)
returns table (cause text, detail text, other_job bigint, ahead bigint, since timestamptz, until timestamptz)
language plpgsql stable as $$
declare
    job      holdfast.jobs;
    line     holdfast.key_lines;
    finished record;
    run      record;
    first    bigint;
    before   bigint;
    queue_   holdfast.queues;
    told     boolean := false;
begin
    select * into job from holdfast.jobs j where j.id = why_waiting.job_id;
    if not found then
        select f.state, f.finished_at, f.error into finished
        from holdfast.finished_jobs f
        where f.id = why_waiting.job_id;
        if not found then
            raise exception 'there is no job %', why_waiting.job_id using errcode = 'no_data_found';
        end if;
        return query select 'finished', 'it has ' || case finished.state when 'cancelled' then 'been ' else '' end
            || finished.state, null::bigint, null::bigint, finished.finished_at, null::timestamptz;
        return;
    end if;
    select * into line from holdfast.key_lines k where k.lock_key = job.lock_key;
    if line.held_by is not null and job.place is not null then
        select h.at, h.worker_id into run
        from holdfast.lock_history h
        where h.job_id = job.id and h.event = 'acquired' and h.fence > line.fence
            and h.at >= line.claimed_at - interval '1 minute'
        limit 1;
        if found then
            return query select 'running', 'worker ' || run.worker_id || ' runs it', null::bigint, null::bigint, run.at,
                null::timestamptz;
            told := true;
        end if;
    end if;
    if job.cancel_requested_at is not null then
        return query select 'cancel-requested', 'its worker cancels it', null::bigint, null::bigint,
            job.cancel_requested_at, null::timestamptz;
        told := true;
    end if;
    if told then return; end if;
    if job.place is null then
        if job.run_at > clock_timestamp() then
            return query select 'scheduled', 'it joins its line when it is due', null::bigint, null::bigint,
                null::timestamptz, job.run_at;
        else
            return query select 'joining', 'it is due, and joins its line as soon as a worker sees to it', null::bigint,
                null::bigint, job.run_at, null::timestamptz;
        end if;
        told := true;
    else
        -- Of a line of any length, so many that it does not matter how many more.
        select count(*), min(l.id) filter (where l.place = l.least) into before, first
        from (
            select j.id, j.place, min(j.place) over () as least
            from holdfast.jobs j
            where j.lock_key = job.lock_key and j.place >= line.head_place and j.place < job.place
            order by j.place
            limit 100000) l;
        if before > 0 then
            return query select 'ahead', before || case before when 1 then ' job is' else ' jobs are' end
                || ' ahead of it in the line of its key, job ' || first || ' first', first, before,
                null::timestamptz, null::timestamptz;
            told := true;
        else
            if line.waiting_since is not null then
                return query select 'foreign-holder', 'somebody else holds its lock', null::bigint, null::bigint,
                    line.waiting_since, null::timestamptz;
                told := true;
            elsif line.held_by is not null then
                return query select 'claimed', 'worker ' || line.held_by || ' has claimed it, and acquires its lock',
                    null::bigint, null::bigint, line.claimed_at, null::timestamptz;
                told := true;
            elsif line.ready_at > clock_timestamp() then
                return query select case when job.attempt > 0 then 'backoff' else 'snoozed' end,
                    case when job.attempt > 0 then 'attempt ' || job.attempt || ' of ' || job.max_attempts || ' failed'
                         else 'its task wants to run later' end || coalesce(': ' || job.last_error, ''),
                    null::bigint, null::bigint, null::timestamptz, line.ready_at;
                told := true;
            end if;
        end if;
    end if;
    select * into queue_ from holdfast.queues q where q.name = job.queue;
    if queue_.paused_at is not null then
        return query select 'paused', 'queue ' || job.queue || ' is paused', null::bigint, null::bigint,
            queue_.paused_at, null::timestamptz;
        told := true;
    end if;
    if not exists (
        select from holdfast.workers w
        where w.lease_until > clock_timestamp() and job.queue = any (w.queues) and job.kind = any (w.kinds))
    then
        return query select 'no-worker', 'no live worker takes kind ' || job.kind || ' from queue ' || job.queue,
            null::bigint, null::bigint, null::timestamptz, null::timestamptz;
        told := true;
    end if;
    if not told then
        return query select 'ready', 'the next worker with a free slot claims it', null::bigint, null::bigint,
            line.ready_at, null::timestamptz;
    end if;
end
$$;
comment on function holdfast.why_waiting(bigint) is
    'Why a job does not run, a row for each cause: finished, running, cancel-requested, scheduled, joining, ahead (how '
    'many, and which job is first), foreign-holder, claimed, backoff, snoozed, paused, no-worker, or ready. Whether the '
    'lock nodes have a quorum is not known here. Example: select * from holdfast.why_waiting(42);';
