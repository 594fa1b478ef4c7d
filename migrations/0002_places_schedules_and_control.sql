-- Places in a line apart from ids, scheduled jobs and the inbox, idempotency keys, control, and upkeep.
--
-- Workers and intakes of the version before must be stopped first: they know no places.

lock table holdfast.key_lines, holdfast.jobs in exclusive mode;

-- Jobs -----------------------------------------------------------------------------------------------------------

alter table holdfast.jobs
    add column place               bigint,
    add column run_at              timestamptz,
    add column timeout_ms          integer,
    add column metadata            jsonb,
    add column traceparent         text,
    add column cancel_requested_at timestamptz,
    add column progress            double precision,
    add column progress_note       text;
update holdfast.jobs set place = id;
alter table holdfast.jobs
    add constraint placed_or_due check (place is not null or run_at is not null),
    add constraint timeout_is_positive check (timeout_ms > 0),
    add constraint progress_is_a_part check (progress between 0 and 1);

drop index holdfast.jobs_line;
create index jobs_line on holdfast.jobs (lock_key, place) where place is not null;
create index jobs_due on holdfast.jobs (run_at, id) where place is null;
create index jobs_cancel on holdfast.jobs (id) where cancel_requested_at is not null;

comment on sequence holdfast.jobs_id_seq is 'Ids of jobs, and their places. The enqueue relies on a cache of 1.';
comment on column holdfast.jobs.id is 'The job''s number. Of a job that joins its line at once it is the place too.';
comment on column holdfast.jobs.place is
    'Its place in its line: drawn under the line''s lock, lower runs earlier. Null until it has joined the line: it is '
    'scheduled, or was submitted within a caller''s transaction.';
comment on column holdfast.jobs.run_at is 'When it joins its line, at the earliest; null when it joined at once.';
comment on column holdfast.jobs.timeout_ms is
    'How long an attempt may run, in ms; null: its declared duration, and the worker''s grace.';
comment on column holdfast.jobs.metadata is 'What the submitter wants to find it by; the queue does not look at it.';
comment on column holdfast.jobs.traceparent is 'The trace context of its submission (W3C Trace Context).';
comment on column holdfast.jobs.cancel_requested_at is
    'Since when it is to be cancelled although it runs; its worker does that, or the next to claim its line.';
comment on column holdfast.jobs.progress is 'How much of its task is done, from 0 to 1, as the task said last.';
comment on column holdfast.jobs.progress_note is 'What its task said last of its progress, at most 2,000 characters.';

alter table holdfast.key_lines rename column head_id to head_place;
comment on column holdfast.key_lines.queue is 'The queue of its head.';
comment on column holdfast.key_lines.head_place is
    'No unfinished job of the line has a lower place: a search begins here, past all that is dead.';
comment on column holdfast.jobs.queue is 'Which workers may run it.';

alter table holdfast.finished_jobs
    add column run_at        timestamptz,
    add column timeout_ms    integer,
    add column metadata      jsonb,
    add column traceparent   text,
    add column progress      real,
    add column progress_note text;
comment on column holdfast.finished_jobs.run_at is 'As in jobs.';
comment on column holdfast.finished_jobs.timeout_ms is 'As in jobs.';
comment on column holdfast.finished_jobs.metadata is 'As in jobs.';
comment on column holdfast.finished_jobs.traceparent is 'As in jobs.';
comment on column holdfast.finished_jobs.progress is 'As in jobs.';
comment on column holdfast.finished_jobs.progress_note is 'As in jobs.';

alter table holdfast.workers add column kinds text[] not null default '{}';
comment on column holdfast.workers.kinds is 'The kinds of job that it has a handler for.';

-- Queues ---------------------------------------------------------------------------------------------------------

create table holdfast.queues (
    name       text        not null,
    paused_at  timestamptz,
    job_limit  integer,
    line_limit integer,
    depth      integer     not null default 0,
    depth_at   timestamptz not null default '-infinity',
    constraint queues_pkey primary key (name),
    constraint limits_are_not_negative check (job_limit >= 0 and line_limit >= 0)
);
comment on table holdfast.queues is 'What operators have said about queues; a queue needs no row.';
comment on column holdfast.queues.name is 'The queue.';
comment on column holdfast.queues.paused_at is 'Since when no job of it is started; null: it is not paused.';
comment on column holdfast.queues.job_limit is 'How many unfinished jobs it may have; null: any number.';
comment on column holdfast.queues.line_limit is 'How many unfinished jobs any key may have in it; null: any number.';
comment on column holdfast.queues.depth is 'How many unfinished jobs it had when they were last counted; for job_limit.';
comment on column holdfast.queues.depth_at is 'When that was.';

create function holdfast.pause(queue text) returns void language sql as $$
    insert into holdfast.queues (name, paused_at) values (queue, clock_timestamp())
    on conflict (name) do update set paused_at = coalesce(queues.paused_at, excluded.paused_at);
    select pg_notify('holdfast_control', 'pause');
$$;
comment on function holdfast.pause(text) is
    'Starts no more jobs of a queue, on any worker; those that run go on. Example: select holdfast.pause(''default'');';

create function holdfast.resume(queue text) returns void language sql as $$
    update holdfast.queues set paused_at = null where name = queue;
    select pg_notify('holdfast_control', 'resume'), pg_notify('holdfast_ready', queue);
$$;
comment on function holdfast.resume(text) is 'Starts the jobs of a paused queue again. Example: select holdfast.resume(''default'');';

create function holdfast.limit_queue(queue text, job_limit integer, line_limit integer) returns void language sql as $$
    insert into holdfast.queues (name, job_limit, line_limit) values (queue, limit_queue.job_limit, limit_queue.line_limit)
    on conflict (name) do update set job_limit = excluded.job_limit, line_limit = excluded.line_limit;
$$;
comment on function holdfast.limit_queue(text, integer, integer) is
    'Sets how many unfinished jobs a queue may have, and any key in it; null: any number. Submissions beyond are refused. '
    'Example: select holdfast.limit_queue(''default'', 1000000, 10000);';

create function holdfast.queue_limits()
returns table (name text, job_limit integer, line_limit integer, depth integer) language sql as $$
    -- One counts while the others go on with what they know.
    with old as (
        select q.name
        from holdfast.queues q
        where q.job_limit is not null and q.depth_at < clock_timestamp() - interval '1 second'
        for update skip locked)
    update holdfast.queues q
    set depth = (
            -- Beyond the limit it does not matter how far.
            select count(*) from (select from holdfast.jobs j where j.queue = q.name limit q.job_limit + 1) n),
        depth_at = clock_timestamp()
    from old
    where q.name = old.name;
    select q.name, q.job_limit, q.line_limit, q.depth
    from holdfast.queues q
    where q.job_limit is not null or q.line_limit is not null;
$$;
comment on function holdfast.queue_limits() is
    'The limits of queues that have any, and how many unfinished jobs those have, counted again each second.';

-- Idempotency ----------------------------------------------------------------------------------------------------

create table holdfast.idempotency_keys (
    idempotency_key text        not null,
    digest          bytea       not null,
    job_id          bigint      not null,
    expires_at      timestamptz not null,
    constraint idempotency_keys_pkey primary key (idempotency_key)
);
create index idempotency_keys_expiry on holdfast.idempotency_keys (expires_at);
comment on table holdfast.idempotency_keys is 'Which submission has had which idempotency key, for a day.';
comment on column holdfast.idempotency_keys.idempotency_key is 'What the submitter chose.';
comment on column holdfast.idempotency_keys.digest is 'SHA-256 of what was submitted with it.';
comment on column holdfast.idempotency_keys.job_id is 'The job that was made of it.';
comment on column holdfast.idempotency_keys.expires_at is 'From when on it may be used for something else.';

create function holdfast.job_digest(
    lock_key text, kind text, value text, queue text, priority integer, run_at timestamptz, max_attempts integer,
    lock_ttl_ms integer, duration_ms integer, timeout_ms integer, metadata jsonb) returns bytea language sql stable as $$
    select sha256(convert_to(jsonb_build_array(
        lock_key, kind, value, queue, priority, extract(epoch from run_at), max_attempts, lock_ttl_ms, duration_ms,
        timeout_ms, metadata)::text, 'UTF8'))
$$;
comment on function holdfast.job_digest(text, text, text, text, integer, timestamptz, integer, integer, integer, integer, jsonb) is
    'What two submissions with one idempotency key must have in common.';

create function holdfast.reserve_ids(idempotency_keys text[], digests bytea[])
returns table (job_id bigint, is_new boolean, is_same boolean, submitted_at timestamptz) language plpgsql as $$
declare
    fresh text[];
begin
    with reserved as (
        insert into holdfast.idempotency_keys as i (idempotency_key, digest, job_id, expires_at)
        select w.idempotency_key, w.digest, nextval('holdfast.jobs_id_seq'), clock_timestamp() + interval '1 day'
        from (
            select distinct on (k.idempotency_key) k.idempotency_key, k.digest
            from unnest($1, $2) with ordinality as k(idempotency_key, digest, place)
            order by k.idempotency_key, k.place) w
        on conflict (idempotency_key) do update
            set digest = excluded.digest, job_id = excluded.job_id, expires_at = excluded.expires_at
            where i.expires_at <= clock_timestamp()
        returning i.idempotency_key)
    select coalesce(array_agg(r.idempotency_key), '{}') into fresh from reserved r;
    -- A statement of its own, to see what others have committed while the insert waited for them.
    return query
        select i.job_id,
               i.idempotency_key = any (fresh) and row_number() over (partition by i.idempotency_key order by k.place) = 1,
               i.digest = k.digest,
               i.expires_at - interval '1 day'
        from unnest($1, $2) with ordinality as k(idempotency_key, digest, place)
        join holdfast.idempotency_keys i on i.idempotency_key = k.idempotency_key
        order by k.place;
end
$$;
comment on function holdfast.reserve_ids(text[], bytea[]) is
    'A job''s number for each idempotency key, in their order: whether it is a new one, to be used now, and whether what '
    'had the key before is the same.';

-- Submission from SQL --------------------------------------------------------------------------------------------

create function holdfast.submit(
    key text, value text, kind text default 'lockAndSet', queue text default 'default', priority integer default 5,
    run_at timestamptz default null, max_attempts integer default 20, lock_ttl_ms integer default 20000,
    duration_ms integer default 10000, timeout_ms integer default null, metadata jsonb default null,
    traceparent text default null, idempotency_key text default null) returns bigint language plpgsql as $$
declare
    field  text;
    id     bigint;
    is_new boolean;
    same   boolean;
    limits holdfast.queues;
begin
    field := case
        when key is null or octet_length(key) not between 1 and 512 or starts_with(key, 'locks:')
            or starts_with(key, 'holdfast:') then 'key must have 1 to 512 bytes, and not begin with locks: or holdfast:'
        when value is null or octet_length(value) > 1048576 then 'value must have at most 1048576 bytes'
        when kind is null or octet_length(kind) not between 1 and 128 then 'kind must have 1 to 128 bytes'
        when queue is null or octet_length(queue) not between 1 and 128 then 'queue must have 1 to 128 bytes'
        when priority is null or priority not between 0 and 9 then 'priority must be from 0 to 9'
        when max_attempts is null or max_attempts not between 1 and 1000 then 'max_attempts must be from 1 to 1000'
        when lock_ttl_ms is null or lock_ttl_ms not between 1000 and 60000 then 'lock_ttl_ms must be from 1000 to 60000'
        when duration_ms is null or duration_ms not between 0 and 86400000 then 'duration_ms must be from 0 to 86400000'
        when timeout_ms not between 1 and 604800000 then 'timeout_ms must be from 1 to 604800000'
        when octet_length(metadata::text) > 16384 then 'metadata must have at most 16384 bytes'
        when octet_length(traceparent) > 128 then 'traceparent must have at most 128 bytes'
        when octet_length(idempotency_key) not between 1 and 255 then 'idempotency_key must have 1 to 255 bytes'
        end;
    if field is not null then
        raise exception '%', field using errcode = 'invalid_parameter_value', column = split_part(field, ' ', 1);
    end if;
    if idempotency_key is not null then
        select r.job_id, r.is_new, r.is_same into id, is_new, same
        from holdfast.reserve_ids(array[idempotency_key], array[holdfast.job_digest(
            key, kind, value, queue, priority, run_at, max_attempts, lock_ttl_ms, duration_ms, timeout_ms, metadata)]) r;
        if not same then
            raise exception 'idempotency_key % has been used for job %, which is another', idempotency_key, id
                using errcode = 'unique_violation', column = 'idempotency_key';
        elsif not is_new then
            return id;
        end if;
    end if;
    select q.* into limits from holdfast.queues q where q.name = queue;
    if limits.depth >= limits.job_limit then
        raise exception 'queue % is full: it may have % unfinished jobs', queue, limits.job_limit
            using errcode = 'program_limit_exceeded', hint = 'Submit it later.';
    end if;
    -- It joins its line in a transaction of the upkeep's: a caller that takes long must not keep the line locked.
    id := coalesce(id, nextval('holdfast.jobs_id_seq'));
    insert into holdfast.jobs
        (id, lock_key, kind, value, queue, priority, run_at, max_attempts, lock_ttl_ms, duration_ms, timeout_ms,
         metadata, traceparent)
    values
        (id, key, kind, value, queue, priority,
         coalesce(run_at, clock_timestamp()), max_attempts, lock_ttl_ms, duration_ms, timeout_ms, metadata, traceparent);
    return id;
end
$$;
comment on function holdfast.submit(text, text, text, text, integer, timestamptz, integer, integer, integer, integer, jsonb, text, text) is
    'Submits a job within the caller''s transaction: it is there if that commits, and joins its line a moment later. '
    'Returns its number. Example: select holdfast.submit(key => ''invoice:42'', value => ''paid'');';

create function holdfast.join_lines(since timestamptz, most integer)
returns table (queue text, run_at timestamptz) language plpgsql as $$
begin
    -- One at a time, or two of one key could change places.
    if not pg_try_advisory_xact_lock(hashtextextended('holdfast.join_lines', 0)) then return; end if;
    return query
        with due as materialized (
            select j.id, j.lock_key, j.queue, j.priority, j.run_at
            from holdfast.jobs j
            where j.place is null and j.run_at >= since and j.run_at <= now()
            order by j.run_at, j.id
            limit most
            for update skip locked),
        lines as (
            insert into holdfast.key_lines (lock_key, queue, priority, ready_at, head_place)
            select d.lock_key, (array_agg(d.queue order by d.run_at, d.id))[1], min(d.priority), clock_timestamp(),
                   (select last_value from holdfast.jobs_id_seq)
            from due d
            group by d.lock_key
            order by d.lock_key
            on conflict (lock_key) do update set priority = excluded.priority
                where key_lines.priority > excluded.priority
            returning 1)
        update holdfast.jobs j
        set place = p.place
        from (
            -- Places are drawn once every line is locked, as in an enqueue.
            select d.id, nextval('holdfast.jobs_id_seq') as place
            from (select due.id from due order by due.run_at, due.id) d
            where (select count(*) from lines) is not null) p
        where j.id = p.id
        returning j.queue, j.run_at;
end
$$;
comment on function holdfast.join_lines(timestamptz, integer) is
    'Lets jobs that are due join their lines, the first due first; one row for each. The upkeep calls it.';

-- Control --------------------------------------------------------------------------------------------------------

create function holdfast.move_line(line holdfast.key_lines) returns void language plpgsql as $$
declare
    next record;
begin
    -- A held line is moved on by its worker.
    if line.held_by is not null then return; end if;
    select j.place, j.queue into next
    from holdfast.jobs j
    where j.lock_key = line.lock_key and j.place >= line.head_place
    order by j.place
    limit 1;
    if not found then
        delete from holdfast.key_lines k where k.lock_key = line.lock_key;
    else
        update holdfast.key_lines k
        set head_place = next.place, queue = next.queue, ready_at = clock_timestamp(), waiting_since = null
        where k.lock_key = line.lock_key;
        perform pg_notify('holdfast_ready', next.queue);
    end if;
end
$$;
comment on function holdfast.move_line(holdfast.key_lines) is
    'Lets the next job of a line be its head; the line is locked, and its head is gone.';

create function holdfast.cancel(job_id bigint) returns text language plpgsql as $$
declare
    job      holdfast.jobs;
    line     holdfast.key_lines;
    finished text;
begin
    loop
        select * into job from holdfast.jobs j where j.id = job_id;
        if not found then
            select f.state into finished from holdfast.finished_jobs f where f.id = job_id;
            if not found then
                raise exception 'there is no job %', job_id using errcode = 'no_data_found';
            end if;
            return finished;
        end if;
        -- The line is locked before its jobs, as everywhere.
        line := null;
        if job.place is not null then
            select * into line from holdfast.key_lines k where k.lock_key = job.lock_key for update;
        end if;
        -- Waits for an acquisition that is being recorded.
        select * into job from holdfast.jobs j where j.id = job_id for update;
        exit when found and (job.place is null or line.lock_key is not null);
    end loop;
    if line.held_by is not null and exists (
        select from holdfast.lock_history h
        where h.job_id = job.id and h.event = 'acquired' and h.fence > line.fence
            and h.at >= line.claimed_at - interval '1 minute')
    then
        update holdfast.jobs j
        set cancel_requested_at = coalesce(j.cancel_requested_at, clock_timestamp())
        where j.id = job.id;
        perform pg_notify('holdfast_control', 'cancel');
        return 'running';
    end if;
    delete from holdfast.jobs j where j.id = job.id;
    insert into holdfast.finished_jobs
        (id, lock_key, kind, value, queue, priority, duration_ms, lock_ttl_ms, attempt, max_attempts, state, error,
         submitted_at, finished_at, run_at, timeout_ms, metadata, traceparent, progress, progress_note)
    values
        (job.id, job.lock_key, job.kind, job.value, job.queue, job.priority, job.duration_ms, job.lock_ttl_ms,
         job.attempt, job.max_attempts, 'cancelled', job.last_error, job.submitted_at, clock_timestamp(), job.run_at,
         job.timeout_ms, job.metadata, job.traceparent, job.progress, job.progress_note);
    if line.lock_key is not null and not exists (
        select from holdfast.jobs j
        where j.lock_key = line.lock_key and j.place >= line.head_place and j.place < job.place)
    then
        perform holdfast.move_line(line);
    end if;
    return 'cancelled';
end
$$;
comment on function holdfast.cancel(bigint) is
    'Cancels a job: one that waits, at once; of one that runs, its worker cancels the task, and the result is ''running''. '
    'A finished job stays as it is. Returns the state. Example: select holdfast.cancel(42);';

create function holdfast.retry(job_id bigint) returns void language plpgsql as $$
declare
    job holdfast.finished_jobs;
begin
    delete from holdfast.finished_jobs f where f.id = job_id returning f.* into job;
    if not found then
        perform from holdfast.jobs j where j.id = job_id;
        if found then
            raise exception 'job % is not finished', job_id using errcode = 'object_not_in_prerequisite_state';
        end if;
        raise exception 'there is no job %', job_id using errcode = 'no_data_found';
    end if;
    insert into holdfast.key_lines (lock_key, queue, priority, ready_at, head_place)
    values (job.lock_key, job.queue, job.priority, clock_timestamp(), (select last_value from holdfast.jobs_id_seq))
    on conflict (lock_key) do update set priority = excluded.priority where key_lines.priority > excluded.priority;
    insert into holdfast.jobs
        (id, place, lock_key, kind, value, queue, priority, run_at, duration_ms, lock_ttl_ms, timeout_ms, attempt,
         max_attempts, last_error, submitted_at, metadata, traceparent)
    values
        (job.id, nextval('holdfast.jobs_id_seq'), job.lock_key, job.kind, job.value, job.queue, job.priority, job.run_at,
         job.duration_ms, job.lock_ttl_ms, job.timeout_ms, job.attempt, greatest(job.max_attempts, job.attempt + 1),
         job.error, job.submitted_at, job.metadata, job.traceparent);
    perform pg_notify('holdfast_ready', job.queue);
end
$$;
comment on function holdfast.retry(bigint) is
    'Lets a finished job run again: it joins the end of its line, with one attempt more at least. '
    'Example: select holdfast.retry(42);';

create function holdfast.set_priority(job_id bigint, priority integer) returns void language plpgsql as $$
declare
    key text;
begin
    if priority is null or priority not between 0 and 9 then
        raise exception 'priority must be from 0 to 9' using errcode = 'invalid_parameter_value', column = 'priority';
    end if;
    select j.lock_key into key from holdfast.jobs j where j.id = job_id;
    perform from holdfast.key_lines k where k.lock_key = key for update;
    update holdfast.jobs j set priority = set_priority.priority where j.id = job_id;
    if not found then
        raise exception 'there is no unfinished job %', job_id using errcode = 'no_data_found';
    end if;
    update holdfast.key_lines k
    set priority = (
        select coalesce(min(j.priority), k.priority)
        from holdfast.jobs j
        where j.lock_key = key and j.place >= k.head_place)
    where k.lock_key = key;
end
$$;
comment on function holdfast.set_priority(bigint, integer) is
    'Changes the priority of an unfinished job, and with it that of its line: the best of its jobs. '
    'Example: select holdfast.set_priority(42, 0);';

-- Attempts -------------------------------------------------------------------------------------------------------

alter table holdfast.lock_history add column outcome text;
comment on column holdfast.lock_history.outcome is
    'Of the end of a hold: what became of the attempt, such as succeeded, failed, snoozed or cancelled.';

create view holdfast.job_attempts as
select a.job_id, a.attempt, a.lock_key, a.worker_id, a.fence, a.at as started_at, e.at as ended_at, e.outcome, e.reason
from holdfast.lock_history a
left join lateral (
    select h.at, h.reason,
           case when h.event in ('refused', 'rescued') then h.event::text else coalesce(h.outcome, h.event::text) end
               as outcome
    from holdfast.lock_history h
    where h.job_id = a.job_id and h.fence = a.fence and h.at >= a.at
        and h.event in ('released', 'lost', 'overrun', 'refused', 'rescued')
    -- Of a worker that came back too late, what it wanted to record does not count.
    order by h.event <> 'refused', h.event = 'rescued', h.at
    limit 1) e on true
where a.event = 'acquired';
comment on view holdfast.job_attempts is
    'One row for each attempt that had its lock: who ran it, from when to when, with which fence, and how it ended; '
    'ended_at is null while it runs. Example: select * from holdfast.job_attempts where job_id = 42 order by started_at;';

-- Upkeep ---------------------------------------------------------------------------------------------------------

create function holdfast.drop_partitions(finished_days integer, history_days integer) returns setof text language plpgsql as $$
declare
    old record;
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
                    - case p.relname when 'finished_jobs' then finished_days else history_days end
        order by c.relname
    loop
        begin
            execute format('drop table holdfast.%I', old.relname);
            return next old.relname;
        exception when lock_not_available then
            null;
        end;
    end loop;
end
$$;
comment on function holdfast.drop_partitions(integer, integer) is
    'Drops the partitions of finished jobs and of the lock history that are older than so many days; returns their names. '
    'Example: select holdfast.drop_partitions(30, 400);';

create function holdfast.doctor()
returns table (problem text, lock_key text, job_id bigint, detail text) language sql stable as $$
    select 'line without jobs', k.lock_key, null::bigint, 'free since ' || k.ready_at
    from holdfast.key_lines k
    where k.held_by is null and not exists (
        select from holdfast.jobs j where j.lock_key = k.lock_key and j.place is not null)
    union all
    select 'job without a line', j.lock_key, j.id, 'its place is ' || j.place
    from holdfast.jobs j
    left join holdfast.key_lines k on k.lock_key = j.lock_key
    where j.place is not null and k.lock_key is null
    union all
    select 'job before the head of its line', j.lock_key, j.id, 'its place is ' || j.place || ', the head ' || k.head_place
    from holdfast.jobs j
    join holdfast.key_lines k on k.lock_key = j.lock_key
    where j.place < k.head_place
    union all
    select 'line in another queue than its head', k.lock_key, h.id, k.queue || ', and not ' || h.queue
    from holdfast.key_lines k
    cross join lateral (
        select j.id, j.queue
        from holdfast.jobs j
        where j.lock_key = k.lock_key and j.place >= k.head_place
        order by j.place
        limit 1) h
    where k.held_by is null and h.queue <> k.queue
    union all
    select 'line behind its best job', k.lock_key, j.id, 'priority ' || k.priority || ', the job''s ' || j.priority
    from holdfast.jobs j
    join holdfast.key_lines k on k.lock_key = j.lock_key
    where j.place is not null and j.priority < k.priority
    union all
    select 'claim without a worker', k.lock_key, null, 'worker ' || k.held_by || ', claimed at ' || k.claimed_at
    from holdfast.key_lines k
    left join holdfast.workers w on w.id = k.held_by
    where k.held_by is not null
        and coalesce(w.lease_until, k.claimed_at) < clock_timestamp() - interval '10 seconds'
    union all
    select 'job past due', j.lock_key, j.id, 'since ' || j.run_at
    from holdfast.jobs j
    where j.place is null and j.run_at < clock_timestamp() - interval '10 seconds'
    union all
    select 'job that is finished and unfinished', j.lock_key, j.id, 'finished at ' || f.finished_at
    from holdfast.jobs j
    join holdfast.finished_jobs f on f.id = j.id
    union all
    select 'no partition for tomorrow', null, null, p.parent
    from unnest(array['finished_jobs', 'lock_history']) as p(parent)
    where to_regclass('holdfast.' || p.parent
        || to_char((clock_timestamp() + interval '24 hours') at time zone 'UTC', '_YYYYMMDD')) is null;
$$;
comment on function holdfast.doctor() is 'What is out of line in the queue: must be empty. Example: select * from holdfast.doctor();';

create function holdfast.repair() returns integer language plpgsql as $$
declare
    ill      text;
    line     holdfast.key_lines;
    repaired integer := 0;
begin
    perform holdfast.make_partitions(7);
    for ill in
        select distinct d.lock_key
        from holdfast.doctor() d
        where d.problem not in ('claim without a worker', 'job past due', 'job that is finished and unfinished')
            and d.lock_key is not null
        order by d.lock_key
        limit 10000
    loop
        insert into holdfast.key_lines (lock_key, queue, priority, ready_at, head_place)
        values (ill, '', 9, clock_timestamp(), 0)
        on conflict (lock_key) do nothing;
        -- Statements of their own, to see what was committed before the line was locked.
        select * into line from holdfast.key_lines k where k.lock_key = ill for update;
        update holdfast.key_lines k
        set head_place = b.head_place, priority = least(k.priority, b.priority),
            queue = case when k.held_by is null then b.queue else k.queue end
        from (
            select min(j.place) as head_place, min(j.priority) as priority,
                   (array_agg(j.queue order by j.place))[1] as queue
            from holdfast.jobs j
            where j.lock_key = ill and j.place is not null
            having count(*) > 0) b
        where k.lock_key = ill;
        if not found and line.held_by is null then
            delete from holdfast.key_lines k where k.lock_key = ill;
        end if;
        repaired := repaired + 1;
    end loop;
    return repaired;
end
$$;
comment on function holdfast.repair() is
    'Puts the lines that holdfast.doctor() shows in order, at most 10,000 at a time; returns how many. What workers do by '
    'themselves while any of them runs is left to them. Example: select holdfast.repair();';
