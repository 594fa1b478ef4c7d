-- Control: what operators ask of queues and jobs, why a job waits, and what is out of line.

create function holdfast.rfc3339(moment timestamptz) returns text language sql stable as $$
    select to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;
comment on function holdfast.rfc3339(timestamptz) is
    'A time as the HTTP API writes it. Example: select holdfast.rfc3339(now());';

-- Queues ---------------------------------------------------------------------------------------------------------

create function holdfast.pause(queue text) returns void language sql
security definer set search_path = pg_catalog, holdfast, pg_temp as $$
    insert into holdfast.queues (name, paused_at) values (queue, clock_timestamp())
    on conflict (name) do update set paused_at = coalesce(queues.paused_at, excluded.paused_at);
    select pg_notify('holdfast_control', 'pause');
$$;
comment on function holdfast.pause(text) is
    'Starts no more jobs of a queue, on any worker; those that run go on. Example: select holdfast.pause(''default'');';

create function holdfast.resume(queue text) returns void language sql
security definer set search_path = pg_catalog, holdfast, pg_temp as $$
    update holdfast.queues set paused_at = null where name = queue;
    select pg_notify('holdfast_control', 'resume'), pg_notify('holdfast_ready', queue);
$$;
comment on function holdfast.resume(text) is 'Starts the jobs of a paused queue again. Example: select holdfast.resume(''default'');';

create function holdfast.limit_queue(queue text, job_limit integer, line_limit integer) returns void language plpgsql
security definer set search_path = pg_catalog, holdfast, pg_temp as $$
#variable_conflict use_variable
declare
    field text;
begin
    field := case
        when queue is null or octet_length(queue) not between 1 and 128 then 'queue must have 1 to 128 bytes'
        when job_limit not between 0 and 1000000000 then 'job_limit must be from 0 to 1000000000'
        when line_limit not between 0 and 1000000000 then 'line_limit must be from 0 to 1000000000'
        end;
    if field is not null then
        raise exception '%', field using errcode = 'invalid_parameter_value', column = split_part(field, ' ', 1);
    end if;
    insert into holdfast.queues as q (name, job_limit, line_limit) values (queue, job_limit, line_limit)
    on conflict (name) do update
        set job_limit = excluded.job_limit, line_limit = excluded.line_limit,
            -- Without a limit nobody notes what comes and goes: with the next one it is counted anew.
            depth = case when q.job_limit is not null and excluded.job_limit is not null then q.depth end,
            counted_at = case when q.job_limit is not null and excluded.job_limit is not null then q.counted_at end,
            writers = case when q.job_limit is not null and excluded.job_limit is not null then q.writers end;
end
$$;
comment on function holdfast.limit_queue(text, integer, integer) is
    'Sets how many unfinished jobs a queue may have, and any key in it; null: any number. Submissions beyond are refused, by '
    'job_limit as soon as a worker, or holdfast.count_queues(), has counted the jobs that are there. '
    'Example: select holdfast.limit_queue(''default'', 1000000, 10000);';

create function holdfast.job_writers() returns text[] language sql as $$
    -- Who changes jobs has one of these locks from before it asks for limits until its transaction has ended.
    select coalesce(array_agg(distinct l.virtualtransaction), '{}')
    from pg_locks l
    where l.locktype = 'relation' and l.granted and l.pid is distinct from pg_backend_pid()
        and l.database = (select d.oid from pg_database d where d.datname = current_database())
        and (l.relation = 'holdfast.jobs'::regclass and l.mode = 'RowExclusiveLock'
            or l.relation = 'holdfast.key_lines'::regclass and l.mode in ('RowShareLock', 'RowExclusiveLock'))
$$;
comment on function holdfast.job_writers() is 'The transactions that have stored or finished jobs, or are about to.';

create function holdfast.count_queues() returns integer language plpgsql
security definer set search_path = pg_catalog, holdfast, pg_temp as $$
declare
    queue_ record;
    base   bigint;
    left_  integer := 0;
begin
    -- Those that are not counted yet; and each once in an hour, so that nothing that went wrong stays.
    if not exists (
        select
        from holdfast.queues q
        where q.job_limit is not null
            and (q.depth is null or q.counted_at < clock_timestamp() - interval '1 hour'))
    then
        return 0;
    end if;
    -- Who brings depths up to date has this lock, too.
    perform from holdfast.duties d where d.name = 'count' for update skip locked;
    if not found then
        return (select count(*) from holdfast.queues q where q.job_limit is not null and q.depth is null);
    end if;
    for queue_ in
        select q.name, q.writers, q.depth
        from holdfast.queues q
        where q.job_limit is not null
            and (q.depth is null or q.counted_at < clock_timestamp() - interval '1 hour')
        order by q.name
    loop
        -- A statement after that which has seen the limit: whoever begins to change jobs from here on sees it too.
        if queue_.depth is null and queue_.writers is null then
            queue_.writers := holdfast.job_writers();
            update holdfast.queues q set writers = queue_.writers where q.name = queue_.name;
        end if;
        if queue_.depth is null and queue_.writers && holdfast.job_writers() then
            left_ := left_ + 1;
            continue;
        end if;
        -- One snapshot: what is not noted in it is in none of the two numbers.
        select (select count(*) from holdfast.jobs j where j.queue = queue_.name)
            - (select coalesce(sum(c.jobs), 0) from holdfast.queue_changes c where c.queue = queue_.name)
        into base;
        update holdfast.queues q
        set depth = base, counted_at = clock_timestamp(), writers = null
        where q.name = queue_.name and q.job_limit is not null;
    end loop;
    return left_;
end
$$;
comment on function holdfast.count_queues() is
    'Counts the jobs of queues that have got a limit, as soon as all have ended who were storing or finishing jobs without '
    'knowing of it; returns how many queues are left to be counted later. It looks at all jobs. Workers call it; it may be '
    'called again at any time. Example: select holdfast.count_queues();';

create function holdfast.queue_limits() returns table (name text, job_limit integer, line_limit integer) language plpgsql
security definer set search_path = pg_catalog, holdfast, pg_temp as $$
#variable_conflict use_column
declare
    ready text[];
begin
    -- One at a time brings depths up to date, so that few changes are to be added up; the others go on with what they find.
    perform
    from holdfast.duties d
    where d.name = 'count' and exists (select from holdfast.queue_changes)
    for update skip locked;
    if found then
        ready := array(
            select q.name from holdfast.queues q where q.depth is not null order by q.name for no key update skip locked);
        with gone as (
            delete from holdfast.queue_changes c where c.queue = any (ready) returning c.queue, c.jobs),
        -- What a limit that is gone has left.
        idle as (
            delete from holdfast.queue_changes c
            where not exists (select from holdfast.queues q where q.name = c.queue and q.job_limit is not null))
        update holdfast.queues q
        set depth = q.depth + g.jobs
        from (select g.queue, sum(g.jobs) as jobs from gone g group by g.queue) g
        where q.name = g.queue;
    end if;
    return query
        select q.name, q.job_limit, q.line_limit
        from holdfast.queues q
        where q.job_limit is not null or q.line_limit is not null;
end
$$;
comment on function holdfast.queue_limits() is
    'The limits of queues that have any. It brings their depths up to date, too: the intake calls it each second.';

-- Kinds that nobody takes -----------------------------------------------------------------------------------------

create function holdfast.unserved_kinds() returns table (queue text, kind text, since timestamptz) language plpgsql stable
set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
begin
    return query
        with recursive ready as (
            -- From one pair to the next by the index of lines that are ready: never over all lines of a pair.
            (select k.queue, k.kind
            from holdfast.key_lines k
            where k.held_by is null and k.turn is not null
            order by k.queue, k.kind
            limit 1)
            union all
            select n.queue, n.kind
            from ready r
            cross join lateral (
                select k.queue, k.kind
                from holdfast.key_lines k
                where k.held_by is null and k.turn is not null and (k.queue, k.kind) > (r.queue, r.kind)
                order by k.queue, k.kind
                limit 1) n)
        select r.queue, r.kind, f.ready_at
        from ready r
        -- Of the line whose turn is next, in the order of priorities: it has waited about longest.
        cross join lateral (
            select k.ready_at
            from holdfast.key_lines k
            where k.held_by is null and k.turn is not null and k.queue = r.queue and k.kind = r.kind
            order by k.queue, k.kind, k.priority, k.turn
            limit 1) f
        where not exists (
            select from holdfast.live_workers w where r.queue = any (w.queues) and r.kind = any (w.kinds))
        limit 100;
end
$$;
comment on function holdfast.unserved_kinds() is
    'The queues and kinds of lines that are ready and that no live worker takes, and about since when; 100 at most. '
    'Example: select * from holdfast.unserved_kinds();';

create function holdfast.queue_counts(queue text default null)
returns table (name text, paused_at timestamptz, job_limit integer, line_limit integer, depth bigint, scheduled bigint,
               ready bigint, running bigint, oldest_wait_ms bigint, served_wait_ms bigint, unserved jsonb)
language plpgsql stable set enable_seqscan = on set jit = off as $$
#variable_conflict use_column
begin
    -- One reading of the jobs, and one of the lines, however many queues there are: from end to end, as most are counted.
    return query
        select name, q.paused_at, q.job_limit, q.line_limit, coalesce(j.depth, 0), coalesce(j.scheduled, 0),
               coalesce(l.ready, 0)::bigint, coalesce(l.running, 0)::bigint, l.oldest_wait_ms, l.served_wait_ms, l.unserved
        from (
            select n.queue as name, count(*) as depth,
                   count(*) filter (where n.place is null and n.run_at > now()) as scheduled
            from holdfast.jobs n
            where queue_counts.queue is null or n.queue = queue_counts.queue
            group by n.queue) j
        full join (
            select *
            from holdfast.queues s
            where queue_counts.queue is null or s.name = queue_counts.queue) q using (name)
        left join (
            select k.queue as name, sum(k.ready) as ready, sum(k.running) as running, max(k.wait_ms) as oldest_wait_ms,
                   max(k.wait_ms) filter (where k.is_served) as served_wait_ms,
                   jsonb_agg(jsonb_build_object('kind', k.kind, 'lines', k.ready, 'oldestWaitMs', k.wait_ms) order by k.ready desc, k.kind)
                       filter (where k.place <= 20 and k.ready > 0 and not k.is_served) as unserved
            from (
                select g.*, row_number() over (partition by g.queue, g.is_served order by g.ready desc, g.kind) as place
                from (
                    select c.*, exists (
                        select from holdfast.live_workers w where c.queue = any (w.queues) and c.kind = any (w.kinds)) as is_served
                    from (
                        select i.queue, i.kind, count(*) filter (where i.held_by is null and i.turn is not null) as ready,
                               count(*) filter (where i.held_by is not null) as running,
                               (extract(epoch from now() - min(i.ready_at) filter (where i.held_by is null and i.turn is not null))
                                   * 1000)::bigint as wait_ms
                        from holdfast.key_lines i
                        where queue_counts.queue is null or i.queue = queue_counts.queue
                        group by i.queue, i.kind) c) g) k
            group by k.queue) l using (name);
end
$$;
comment on function holdfast.queue_counts(text) is
    'The queues that have jobs, or that an operator has said something of, or one of them: unfinished jobs, those that are '
    'scheduled, lines that are ready and that run, how long the longest has been ready, of any kind and of those that a live '
    'worker takes; and for each kind that none takes how many lines are ready, of at most 20. It looks at every unfinished job '
    'and every line. Example: select * from holdfast.queue_counts();';

-- Jobs -----------------------------------------------------------------------------------------------------------

create function holdfast.move_line(line holdfast.key_lines) returns void language plpgsql as $$
declare
    next record;
begin
    -- A held line is moved on by its worker.
    if line.held_by is not null then return; end if;
    select j.place, j.queue, j.kind into next
    from holdfast.jobs j
    where j.lock_key = line.lock_key and j.place >= line.head_place
    order by j.place
    limit 1;
    if not found then
        delete from holdfast.key_lines k where k.lock_key = line.lock_key;
    else
        update holdfast.key_lines k
        set head_place = next.place, queue = next.queue, kind = next.kind,
            priority = holdfast.best_priority(line.lock_key, next.place),
            turn = coalesce(k.turn, nextval('holdfast.turn')), due_at = null,
            ready_at = case when k.turn is null then clock_timestamp() else k.ready_at end, waiting_since = null
        where k.lock_key = line.lock_key;
        perform pg_notify('holdfast_ready', next.queue);
    end if;
end
$$;
comment on function holdfast.move_line(holdfast.key_lines) is
    'Lets the next job of a line be its head; the line is locked, and its head is gone.';

create function holdfast.cancel(job_id bigint) returns text language plpgsql
security definer set search_path = pg_catalog, holdfast, pg_temp as $$
declare
    job      holdfast.jobs;
    line     holdfast.key_lines;
    finished record;
begin
    loop
        select * into job from holdfast.jobs j where j.id = cancel.job_id;
        if not found then
            select f.state, f.finished_at into finished from holdfast.find_job(cancel.job_id) f;
            if not found then
                raise exception 'there is no job %', cancel.job_id using errcode = 'no_data_found';
            end if;
            -- Somebody had it run again between the two looks.
            continue when finished.finished_at is null;
            return finished.state;
        end if;
        -- The line is locked before its jobs, as everywhere. No part of a run is being settled then.
        line := null;
        if job.place is not null then
            select * into line from holdfast.key_lines k where k.lock_key = job.lock_key for update;
        end if;
        select * into job from holdfast.jobs j where j.id = cancel.job_id for update;
        exit when found and (job.place is null or line.lock_key is not null);
    end loop;
    if line.held_by is not null and exists (
        select from holdfast.running(line) c where c.job_id = job.id or job.id = any (c.jobs))
    then
        update holdfast.jobs j
        set cancel_requested_at = coalesce(j.cancel_requested_at, clock_timestamp())
        where j.id = job.id;
        perform pg_notify('holdfast_control', 'cancel');
        return 'running';
    end if;
    delete from holdfast.jobs j where j.id = job.id;
    perform holdfast.note_jobs(array[job.queue], -1);
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
    'Cancels a job: one that waits, at once; of one that runs, or is next under the hold of one, its worker cancels the task, and the result is ''running''. '
    'A finished job stays as it is. Returns the state. Example: select holdfast.cancel(42);';

create function holdfast.retry(job_id bigint) returns void language plpgsql
security definer set search_path = pg_catalog, holdfast, pg_temp set plan_cache_mode = force_custom_plan as $$
declare
    job   holdfast.finished_jobs;
    since constant timestamptz := holdfast.job_since(retry.job_id);
begin
    -- Planned for the partitions since it came: it locks no more of them.
    delete from holdfast.finished_jobs f where f.id = retry.job_id and f.finished_at >= since returning f.* into job;
    if not found then
        perform from holdfast.jobs j where j.id = retry.job_id;
        if found then
            raise exception 'job % is not finished', retry.job_id using errcode = 'object_not_in_prerequisite_state';
        end if;
        raise exception 'there is no job %', retry.job_id using errcode = 'no_data_found';
    end if;
    insert into holdfast.key_lines (lock_key, queue, kind, priority, turn, head_place)
    values (job.lock_key, job.queue, job.kind, job.priority, nextval('holdfast.turn'),
            (select s.last_value from holdfast.jobs_id_seq s))
    on conflict (lock_key) do update set priority = excluded.priority where key_lines.priority > excluded.priority;
    -- What was submitted before, and has not joined the line yet, goes first.
    perform holdfast.join_lines(array[job.lock_key]);
    insert into holdfast.jobs
        (id, place, lock_key, kind, value, queue, priority, run_at, duration_ms, lock_ttl_ms, timeout_ms, attempt,
         max_attempts, last_error, submitted_at, metadata, traceparent)
    values
        (job.id, nextval('holdfast.jobs_id_seq'), job.lock_key, job.kind, job.value, job.queue, job.priority, job.run_at,
         job.duration_ms, job.lock_ttl_ms, job.timeout_ms, job.attempt, greatest(job.max_attempts, job.attempt + 1),
         job.error, job.submitted_at, job.metadata, job.traceparent);
    perform holdfast.note_jobs(array[job.queue], 1);
    perform pg_notify('holdfast_ready', job.queue);
end
$$;
comment on function holdfast.retry(bigint) is
    'Lets a finished job run again: it joins the end of its line, with one attempt more at least. '
    'Example: select holdfast.retry(42);';

create function holdfast.set_priority(job_id bigint, priority integer) returns void language plpgsql
security definer set search_path = pg_catalog, holdfast, pg_temp as $$
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
    set priority = coalesce(holdfast.best_priority(k.lock_key, k.head_place), k.priority)
    where k.lock_key = key;
end
$$;
comment on function holdfast.set_priority(bigint, integer) is
    'Changes the priority of an unfinished job, and with it that of its line: the best of its jobs. '
    'Example: select holdfast.set_priority(42, 0);';

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
        select f.state, f.finished_at into finished from holdfast.find_job(why_waiting.job_id) f;
        if not found then
            raise exception 'there is no job %', why_waiting.job_id using errcode = 'no_data_found';
        end if;
        return query select 'finished', 'it has ' || case finished.state when 'cancelled' then 'been ' else '' end
            || finished.state, null::bigint, null::bigint, finished.finished_at, null::timestamptz;
        return;
    end if;
    select * into line from holdfast.key_lines k where k.lock_key = job.lock_key;
    if line.held_by is not null and job.place is not null then
        select c.began_at, c.worker_id into run from holdfast.running(line) c where c.job_id = job.id;
        if found then
            return query select 'running', 'worker ' || run.worker_id || ' runs it', null::bigint, null::bigint,
                run.began_at, null::timestamptz;
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
            elsif line.due_at is not null then
                return query select case when job.attempt > 0 then 'backoff' else 'snoozed' end,
                    case when job.attempt > 0 then 'attempt ' || job.attempt || ' of ' || job.max_attempts || ' failed'
                         else 'it was put off' end || coalesce(': ' || job.last_error, ''),
                    null::bigint, null::bigint, null::timestamptz, line.due_at;
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
        select from holdfast.live_workers w where job.queue = any (w.queues) and job.kind = any (w.kinds))
    then
        return query select 'no-worker', 'no live worker takes kind ' || job.kind || ' from queue ' || job.queue,
            null::bigint, null::bigint, null::timestamptz, null::timestamptz;
        told := true;
    elsif not exists (
        select from holdfast.live_workers w
        where job.queue = any (w.queues) and job.kind = any (w.kinds) and job.kind <> all (w.held_up_kinds))
    then
        return query select 'held-up', 'no worker begins a job of kind ' || job.kind || ': ' || (
                select string_agg(distinct t.trouble, '; ')
                from holdfast.live_workers w
                cross join lateral unnest(w.troubles) as t(trouble)
                where job.queue = any (w.queues) and job.kind = any (w.kinds)),
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
    'many, and which job is first), foreign-holder, claimed, backoff, snoozed, paused, no-worker, held-up (workers that take '
    'its kind begin none, and say why), or ready. Example: select * from holdfast.why_waiting(42);';

-- Order ----------------------------------------------------------------------------------------------------------

create function holdfast.sequence_marks()
returns table (sequence text, drawn bigint, used bigint) language plpgsql stable
security definer set search_path = pg_catalog, holdfast, pg_temp as $$
declare
    newest record;
    tail   record;
    mark   record;
begin
    -- Rows of the history are only ever added: the numbers that were drawn last are in the last blocks of its newest
    -- partition that has any.
    select c.oid::regclass as partition, pg_relation_size(c.oid) / current_setting('block_size')::integer as blocks
    into newest
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'holdfast.lock_history'::regclass and pg_relation_size(c.oid) > 0
    order by c.relname desc
    limit 1;
    if found then
        execute format('select max(h.id) as id, max(greatest(h.fence, h.fences[cardinality(h.fences)])) as fence, '
            'max(h.worker_id) as worker_id from %s h where h.ctid >= %L::tid',
            newest.partition, '(' || greatest(newest.blocks - 1000, 0) || ',0)') into tail;
    else
        select null::bigint as id, null::bigint as fence, null::bigint as worker_id into tail;
    end if;
    for mark in
        select *
        from (values
            ('holdfast.jobs_id_seq', greatest(
                (select max(greatest(j.id, j.place)) from holdfast.jobs j), (select max(f.id) from holdfast.finished_jobs f),
                (select max(i.job_id) from holdfast.idempotency_keys i))),
            ('holdfast.fence', greatest((select max(k.fence) from holdfast.key_lines k), tail.fence)),
            ('holdfast.turn', (select max(k.turn) from holdfast.key_lines k)),
            ('holdfast.worker_id_seq', greatest((select max(w.id) from holdfast.workers w),
                (select max(k.held_by) from holdfast.key_lines k), tail.worker_id)),
            (pg_get_serial_sequence('holdfast.lock_history', 'id'), tail.id),
            (pg_get_serial_sequence('holdfast.node_sets', 'id'), (select max(s.id) from holdfast.node_sets s)),
            (pg_get_serial_sequence('holdfast.tokens', 'id'), (select max(t.id) from holdfast.tokens t)))
            as m(sequence, used)
    loop
        sequence := mark.sequence;
        used := coalesce(mark.used, 0);
        execute format('select case when s.is_called then s.last_value else s.last_value - 1 end from %s s', sequence) into drawn;
        return next;
    end loop;
end
$$;
comment on function holdfast.sequence_marks() is
    'The numbers that each sequence has drawn, and the highest that is in use: one that is behind, as logical replication '
    'leaves them, would draw numbers twice. Example: select * from holdfast.sequence_marks() where drawn < used;';

create function holdfast.raise_sequence(sequence regclass, above bigint) returns boolean language plpgsql
security definer set search_path = pg_catalog, holdfast, pg_temp as $$
declare
    drawn bigint;
begin
    -- Changes nothing, and keeps others from drawing until this has ended.
    execute format('alter sequence %s cache 1', sequence);
    execute format('select case when s.is_called then s.last_value else s.last_value - 1 end from %s s', sequence) into drawn;
    if drawn >= above then return false; end if;
    perform setval(sequence, above);
    return true;
end
$$;
comment on function holdfast.raise_sequence(regclass, bigint) is
    'Lets a sequence draw higher numbers than one from now on; returns whether it would have drawn lower ones. After an older '
    'backup was restored, for example: select holdfast.raise_sequence(''holdfast.fence'', 123456);';

create function holdfast.last_fence() returns bigint language sql
security definer set search_path = pg_catalog, holdfast, pg_temp as $$
    select case when s.is_called then s.last_value else s.last_value - 1 end from holdfast.fence s
$$;
comment on function holdfast.last_fence() is
    'The highest fence that was ever drawn from this database: no value was written with a higher one, unless an older '
    'backup of it was restored. Example: select holdfast.last_fence();';

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
        select j.id, j.queue, j.kind
        from holdfast.jobs j
        where j.lock_key = k.lock_key and j.place >= k.head_place
        order by j.place
        limit 1) h
    where k.held_by is null and h.queue <> k.queue
    union all
    select 'line of another kind than its head', k.lock_key, h.id, k.kind || ', and not ' || h.kind
    from holdfast.key_lines k
    cross join lateral (
        select j.id, j.queue, j.kind
        from holdfast.jobs j
        where j.lock_key = k.lock_key and j.place >= k.head_place
        order by j.place
        limit 1) h
    where k.held_by is null and h.kind <> k.kind
    union all
    select 'line with another priority than its best job', k.lock_key, null, 'priority ' || k.priority || ', the job''s ' || b.best
    from holdfast.key_lines k
    cross join lateral (select holdfast.best_priority(k.lock_key, k.head_place) as best) b
    -- A job that is far behind may have brought a better one.
    where k.priority > b.best or k.held_by is null and k.priority < b.best and not exists (
        select from holdfast.jobs j where j.lock_key = k.lock_key and j.place >= k.head_place and j.priority <= k.priority)
    union all
    select 'claim without a worker', k.lock_key, null, 'worker ' || k.held_by || ', claimed at ' || k.claimed_at
    from holdfast.key_lines k
    left join holdfast.workers w on w.id = k.held_by
    where k.held_by is not null
        and coalesce(w.beat_at, k.claimed_at) < clock_timestamp() - interval '15 seconds'
    union all
    select 'line past due', k.lock_key, null, 'since ' || k.due_at
    from holdfast.key_lines k
    where k.held_by is null and k.due_at < clock_timestamp() - interval '10 seconds'
    union all
    select 'job past due', j.lock_key, j.id, 'since ' || j.run_at
    from holdfast.jobs j
    where j.place is null and j.run_at < clock_timestamp() - interval '10 seconds'
    union all
    select 'job that is finished and unfinished', j.lock_key, j.id, 'finished at ' || f.finished_at
    from holdfast.jobs j
    join holdfast.finished_jobs f on f.id = j.id
    union all
    select distinct 'jobs held up', null, null::bigint, 'kind ' || k.kind || ': ' || array_to_string(w.troubles, '; ')
    from holdfast.live_workers w
    cross join lateral unnest(w.held_up_kinds) as k(kind)
    union all
    select distinct 'node not set up as it should be', null, null::bigint, n.warning
    from holdfast.live_workers w
    cross join lateral unnest(w.node_warnings) as n(warning)
    union all
    select 'workers with different lock nodes', null, null,
           'worker ' || w.id || ' (' || w.name || ') names other lock nodes than worker ' || o.id || ' (' || o.name || ')'
    from holdfast.live_workers w
    join holdfast.live_workers o on o.id < w.id and o.lock_nodes <> w.lock_nodes
    where w.lock_nodes <> '{}' and o.lock_nodes <> '{}'
    union all
    select 'kind that no live worker takes', null, null, 'kind ' || u.kind || ' of queue ' || u.queue || ', since ' || u.since
    from holdfast.unserved_kinds() u
    where u.since < clock_timestamp() - interval '5 minutes'
    union all
    -- A clock was ahead when it was claimed, and what it waits for was reckoned by that clock.
    select 'line from the future', k.lock_key, null, 'claimed at ' || k.claimed_at || ', and it waits until ' || k.due_at
    from holdfast.key_lines k
    where k.held_by is null and k.due_at > clock_timestamp() and k.claimed_at > clock_timestamp() + interval '1 minute'
    union all
    select 'job from the future', j.lock_key, j.id, 'submitted at ' || j.submitted_at || ', to run at once'
    from holdfast.jobs j
    where j.place is null and j.submitted_at > clock_timestamp() + interval '1 minute'
        and j.run_at between j.submitted_at - interval '1 minute' and j.submitted_at
    union all
    select 'sequence behind its table', null, null,
           m.sequence || ' has drawn ' || m.drawn || ', and ' || m.used || ' is in use: numbers would come twice'
    from holdfast.sequence_marks() m
    where m.drawn < m.used
    union all
    select 'no partition for ' || d.name, null, null, p.parent
    from unnest(array['finished_jobs', 'lock_history']) as p(parent)
    cross join (values ('today', 0), ('tomorrow', 24)) as d(name, hours)
    where to_regclass('holdfast.' || p.parent || to_char(
        (clock_timestamp() + make_interval(hours => d.hours)) at time zone 'UTC', '_YYYYMMDD')) is null
    union all
    select 'role is missing', null, null, r.name
    from unnest(array['holdfast_intake', 'holdfast_worker', 'holdfast_auditor']) as r(name)
    where not exists (select from pg_roles p where p.rolname = r.name)
    union all
    -- One grant of each: a restore without privileges leaves none.
    select 'role without its grants', null, null, p.rolname::text
    from (values ('holdfast_intake', 'enqueue'), ('holdfast_worker', 'settle'), ('holdfast_auditor', 'who_held'))
        as r(name, function)
    join pg_roles p on p.rolname = r.name
    where not has_schema_privilege(p.oid, 'holdfast', 'usage') or not exists (
        select
        from pg_proc f
        where f.pronamespace = 'holdfast'::regnamespace and f.proname = r.function
            and has_function_privilege(p.oid, f.oid, 'execute'));
$$;
comment on function holdfast.doctor() is 'What is out of line in the queue: must be empty. Example: select * from holdfast.doctor();';

create function holdfast.repair() returns integer language plpgsql
security definer set search_path = pg_catalog, holdfast, pg_temp as $$
declare
    ill      text;
    line     holdfast.key_lines;
    repaired integer := 0;
begin
    perform holdfast.make_partitions(7);
    perform holdfast.raise_sequence(m.sequence::regclass, m.used) from holdfast.sequence_marks() m where m.drawn < m.used;
    -- What waits goes on waiting for as long as it was to, 5 minutes at most, from now on.
    with ahead as (
        update holdfast.key_lines k
        set due_at = clock_timestamp() + greatest(least(k.due_at - k.claimed_at, interval '5 minutes'), interval '0'),
            claimed_at = clock_timestamp()
        where k.held_by is null and k.due_at > clock_timestamp() and k.claimed_at > clock_timestamp() + interval '1 minute'
        returning 1)
    select count(*) into repaired from ahead;
    with ahead as (
        update holdfast.jobs j
        set run_at = clock_timestamp()
        where j.place is null and j.submitted_at > clock_timestamp() + interval '1 minute'
            and j.run_at between j.submitted_at - interval '1 minute' and j.submitted_at
        returning 1)
    select repaired + count(*) into repaired from ahead;
    for ill in
        select distinct d.lock_key
        from holdfast.doctor() d
        where d.problem not in
                ('claim without a worker', 'line past due', 'job past due', 'job that is finished and unfinished',
                 'line from the future', 'job from the future')
            and d.lock_key is not null
        order by d.lock_key
        limit 10000
    loop
        insert into holdfast.key_lines (lock_key, queue, kind, priority, turn, head_place)
        values (ill, '', '', 9, nextval('holdfast.turn'), 0)
        on conflict (lock_key) do nothing;
        -- Statements of their own, to see what was committed before the line was locked.
        select * into line from holdfast.key_lines k where k.lock_key = ill for update;
        update holdfast.key_lines k
        set head_place = b.head_place, priority = holdfast.best_priority(ill, b.head_place),
            queue = case when k.held_by is null then b.queue else k.queue end,
            kind = case when k.held_by is null then b.kind else k.kind end
        from (
            select min(j.place) as head_place, (array_agg(j.queue order by j.place))[1] as queue,
                   (array_agg(j.kind order by j.place))[1] as kind
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
    'Puts the lines and jobs that holdfast.doctor() shows in order, at most 10,000 lines at a time, and returns how many; '
    'makes missing partitions, and raises sequences that are behind. What workers do by themselves while any of them runs is '
    'left to them. Example: select holdfast.repair();';
