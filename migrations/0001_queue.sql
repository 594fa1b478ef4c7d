-- The queue: jobs, the line of each key, finished jobs, workers; and how jobs come in.
--
-- Who changes a line's jobs has locked the line's row first: an enqueue, a promotion, a claim, a settle that frees it, a
-- cancel. Places are drawn under that lock, so for each key they rise in the order in which jobs came in.

create sequence holdfast.jobs_id_seq as bigint cache 1;
comment on sequence holdfast.jobs_id_seq is
    'Ids of jobs, and their places. With a cache, sessions would draw numbers that do not rise in the order of their locks.';

create sequence holdfast.turn as bigint cache 1;
comment on sequence holdfast.turn is
    'Turns: a line draws one when it becomes ready, and lines are claimed in the order of their turns. No clock has a part '
    'in that. With a cache, sessions would draw numbers that do not rise in the order in which lines become ready.';

create sequence holdfast.fence as bigint cache 1;
comment on sequence holdfast.fence is
    'One number for each claim and each claimed job, rising for every key; it guards the value, the lock and the settle. '
    'The cache is 1, so that numbers rise across sessions too.';

-- Jobs -----------------------------------------------------------------------------------------------------------

create table holdfast.jobs (
    id                  bigint      not null default nextval('holdfast.jobs_id_seq'),
    place               bigint,
    lock_key            text        not null,
    kind                text        not null,
    value               text        not null,
    queue               text        not null,
    priority            smallint    not null,
    run_at              timestamptz,
    duration_ms         integer     not null,
    lock_ttl_ms         integer     not null,
    timeout_ms          integer,
    attempt             integer     not null default 0,
    max_attempts        integer     not null,
    last_error          text,
    submitted_at        timestamptz not null default clock_timestamp(),
    metadata            jsonb,
    traceparent         text,
    cancel_requested_at timestamptz,
    progress            double precision,
    progress_note       text,
    constraint jobs_pkey primary key (id),
    constraint placed_or_due check (place is not null or run_at is not null),
    constraint priority_from_0_to_9 check (priority between 0 and 9),
    constraint duration_is_not_negative check (duration_ms >= 0),
    constraint lock_ttl_is_positive check (lock_ttl_ms > 0),
    constraint timeout_is_positive check (timeout_ms > 0),
    constraint attempts_are_positive check (attempt >= 0 and max_attempts > 0),
    constraint progress_is_a_part check (progress between 0 and 1)
);
create index jobs_line on holdfast.jobs (lock_key, place) where place is not null;
create index jobs_inbox on holdfast.jobs (lock_key, run_at, id) where place is null;
create index jobs_due on holdfast.jobs (run_at, id) where place is null;
create index jobs_cancel on holdfast.jobs (id) where cancel_requested_at is not null;
create index jobs_moved on holdfast.jobs (lock_key, (- id)) where place is distinct from id;
create index jobs_retrying on holdfast.jobs (id) where attempt > 0;

comment on table holdfast.jobs is 'Unfinished jobs, and no others.';
comment on index holdfast.jobs_line is 'The jobs of a key that are in line, in order.';
comment on index holdfast.jobs_inbox is 'The jobs of a key that are not in line yet: an enqueue asks whether any of them is due.';
comment on index holdfast.jobs_due is 'The jobs that are not in line yet, the first that is due first.';
comment on index holdfast.jobs_cancel is 'The jobs that are to be cancelled.';
comment on index holdfast.jobs_moved is
    'For the list of a key''s jobs by number: those whose place says nothing of it, as they did not join their line at once. '
    'The others are found by jobs_line. It has the number''s negative: a list in that order can be read along this index, and '
    'not along the primary key, in which a few such jobs of a busy key would be looked for among all of its jobs.';
comment on index holdfast.jobs_retrying is 'For the list of jobs that are to run again.';
comment on column holdfast.jobs.id is 'The job''s number. Of a job that joins its line at once it is the place too.';
comment on column holdfast.jobs.place is
    'Its place in its line: drawn under the line''s lock, lower runs earlier. Null until it has joined the line: it is '
    'scheduled, or was submitted within a caller''s transaction.';
comment on column holdfast.jobs.lock_key is 'The key: the resource that the job names. Its lock is locks:{key} on every lock node.';
comment on column holdfast.jobs.kind is 'Which task runs it; lockAndSet is built in.';
comment on column holdfast.jobs.value is 'What the task is given; for lockAndSet, the value to be written under the key.';
comment on column holdfast.jobs.queue is 'Which workers may run it.';
comment on column holdfast.jobs.priority is '0 (first) to 9; chooses between keys, never between jobs of one key.';
comment on column holdfast.jobs.run_at is 'When it joins its line, at the earliest; null when it joined at once.';
comment on column holdfast.jobs.duration_ms is 'How long the task is declared to take, in ms; lockAndSet''s simulated job takes just that.';
comment on column holdfast.jobs.lock_ttl_ms is 'Time to live of its lock on each node, in ms; a hold is extended while the task runs.';
comment on column holdfast.jobs.timeout_ms is
    'How long an attempt''s task may run, in ms, counted from when the task starts and not from when its lock was had: after '
    'that it is cancelled, and the attempt ends as overrun. Null: duration_ms, and the worker''s grace (30 s by default).';
comment on column holdfast.jobs.attempt is 'Attempts that were begun, ended and count: not those that an outage kept from running.';
comment on column holdfast.jobs.max_attempts is 'After that many it is failed.';
comment on column holdfast.jobs.last_error is 'Why the last attempt did not succeed, at most 2,000 characters.';
comment on column holdfast.jobs.submitted_at is 'When it was stored, by the database''s clock.';
comment on column holdfast.jobs.metadata is 'What the submitter wants to find it by; the queue does not look at it.';
comment on column holdfast.jobs.traceparent is 'The trace context of its submission (W3C Trace Context).';
comment on column holdfast.jobs.cancel_requested_at is
    'Since when it is to be cancelled although it runs; its worker does that, or the next to claim its line.';
comment on column holdfast.jobs.progress is 'How much of its task is done, from 0 to 1, as the task said last.';
comment on column holdfast.jobs.progress_note is 'What its task said last of its progress, at most 2,000 characters.';

-- Lines ----------------------------------------------------------------------------------------------------------

create table holdfast.key_lines (
    lock_key      text        not null,
    queue         text        not null,
    kind          text        not null,
    priority      smallint    not null,
    turn          bigint,
    due_at        timestamptz,
    ready_at      timestamptz not null default clock_timestamp(),
    head_place    bigint      not null,
    held_by       bigint,
    fence         bigint,
    claimed_at    timestamptz,
    waiting_since timestamptz,
    constraint key_lines_pkey primary key (lock_key),
    constraint has_a_turn_or_waits check ((turn is null) <> (due_at is null)),
    constraint claim_has_fence_and_time check (held_by is null or (fence is not null and claimed_at is not null))
);
create index key_lines_ready on holdfast.key_lines (queue, kind, priority, turn) where held_by is null and turn is not null;
create index key_lines_due on holdfast.key_lines (due_at) where held_by is null and due_at is not null;
create index key_lines_held on holdfast.key_lines (held_by, fence) where held_by is not null;

comment on table holdfast.key_lines is
    'One row for each key that has jobs in line; gone when its line is empty. A line is held by a worker, or ready (it has '
    'a turn), or it waits (it has a time).';
comment on index holdfast.key_lines_ready is 'What may be claimed, for each queue, kind and priority in the order of turns.';
comment on index holdfast.key_lines_due is 'The lines that wait, the first that is due first.';
comment on index holdfast.key_lines_held is 'The lines of a claim, of a worker, and of workers that are gone.';
comment on column holdfast.key_lines.lock_key is 'The key whose jobs stand in this line.';
comment on column holdfast.key_lines.queue is 'The queue of its head.';
comment on column holdfast.key_lines.kind is 'The kind of its head: a worker claims lines of the kinds that it has handlers for.';
comment on column holdfast.key_lines.priority is 'The best priority of its jobs, of the first 1,000 if it has more: see holdfast.best_priority.';
comment on column holdfast.key_lines.turn is
    'Its number among the lines that are ready, the lowest first; drawn when it became ready. Null while it waits.';
comment on column holdfast.key_lines.due_at is 'Until when it waits, in back-off for example; null when it has a turn.';
comment on column holdfast.key_lines.ready_at is 'When it last became ready. It is shown and measured; nothing is chosen by it.';
comment on column holdfast.key_lines.head_place is
    'No unfinished job of the line has a lower place: a search begins here, past all that is dead.';
comment on column holdfast.key_lines.held_by is 'The worker that has claimed it; null when it is free.';
comment on column holdfast.key_lines.fence is
    'The number of its last claim, from the same sequence as the fences of that claim''s jobs, which are higher.';
comment on column holdfast.key_lines.claimed_at is 'When it was last claimed.';
comment on column holdfast.key_lines.waiting_since is 'Since when a foreign holder of the lock has kept its head out; null otherwise.';

-- Finished jobs --------------------------------------------------------------------------------------------------

create table holdfast.finished_jobs (
    id            bigint      not null,
    lock_key      text        not null,
    kind          text        not null,
    value         text        not null,
    queue         text        not null,
    priority      smallint    not null,
    run_at        timestamptz,
    duration_ms   integer     not null,
    lock_ttl_ms   integer     not null,
    timeout_ms    integer,
    attempt       integer     not null,
    max_attempts  integer     not null,
    state         text        not null,
    error         text,
    fence         bigint,
    worker_id     bigint,
    submitted_at  timestamptz not null,
    started_at    timestamptz,
    finished_at   timestamptz not null,
    metadata      jsonb,
    traceparent   text,
    progress      double precision,
    progress_note text,
    constraint finished_state check (state in ('succeeded', 'failed', 'cancelled'))
) partition by range (finished_at);
create index finished_jobs_id on holdfast.finished_jobs (id);
create index finished_jobs_key on holdfast.finished_jobs (lock_key, id);
-- Of blocks: rows arrive nearly in the order of time, and a write costs next to nothing more.
create index finished_jobs_finished_at on holdfast.finished_jobs using brin (finished_at)
    with (pages_per_range = 32, autosummarize = on);
create index finished_jobs_failed on holdfast.finished_jobs (id) where state <> 'succeeded';

comment on table holdfast.finished_jobs is 'Jobs that are over; a partition for each day of their end (UTC).';
comment on index holdfast.finished_jobs_id is 'A job by its number.';
comment on index holdfast.finished_jobs_key is 'The finished jobs of a key.';
comment on index holdfast.finished_jobs_finished_at is 'For the throughput and the timeline.';
comment on index holdfast.finished_jobs_failed is 'For the lists of failed and of cancelled jobs.';
comment on column holdfast.finished_jobs.id is 'As in jobs.';
comment on column holdfast.finished_jobs.lock_key is 'As in jobs.';
comment on column holdfast.finished_jobs.kind is 'As in jobs.';
comment on column holdfast.finished_jobs.value is 'As in jobs.';
comment on column holdfast.finished_jobs.queue is 'As in jobs.';
comment on column holdfast.finished_jobs.priority is 'As in jobs.';
comment on column holdfast.finished_jobs.run_at is 'As in jobs.';
comment on column holdfast.finished_jobs.duration_ms is 'As in jobs.';
comment on column holdfast.finished_jobs.lock_ttl_ms is 'As in jobs.';
comment on column holdfast.finished_jobs.timeout_ms is 'As in jobs.';
comment on column holdfast.finished_jobs.attempt is 'How many attempts were begun, the last one included; 0 when it was cancelled before.';
comment on column holdfast.finished_jobs.max_attempts is 'As in jobs.';
comment on column holdfast.finished_jobs.state is 'succeeded, failed or cancelled.';
comment on column holdfast.finished_jobs.error is
    'Why it failed, at most 2,000 characters; of one that was cancelled while it waited, why its last attempt had failed.';
comment on column holdfast.finished_jobs.fence is 'The fence of its last attempt; null when it was cancelled while it waited.';
comment on column holdfast.finished_jobs.worker_id is 'The worker of its last attempt; null when it was cancelled while it waited.';
comment on column holdfast.finished_jobs.submitted_at is 'As in jobs.';
comment on column holdfast.finished_jobs.started_at is
    'When its last attempt had its lock; or, if it shared the hold of jobs before it, when its part of that began. It is '
    'counted from the acquisition as the history has it. Null when it was never begun.';
comment on column holdfast.finished_jobs.finished_at is 'When it was settled, by the database''s clock.';
comment on column holdfast.finished_jobs.metadata is 'As in jobs.';
comment on column holdfast.finished_jobs.traceparent is 'As in jobs.';
comment on column holdfast.finished_jobs.progress is 'As in jobs.';
comment on column holdfast.finished_jobs.progress_note is 'As in jobs.';

-- Numbers and times ----------------------------------------------------------------------------------------------

create table holdfast.drawn_numbers (
    at       timestamptz not null,
    job_id   bigint      not null,
    event_id bigint      not null,
    constraint drawn_numbers_pkey primary key (at)
);
create index drawn_numbers_job on holdfast.drawn_numbers (job_id);
create index drawn_numbers_event on holdfast.drawn_numbers (event_id);
comment on table holdfast.drawn_numbers is
    'Which numbers of jobs and of events had been drawn by when, about a row an hour: a job, or an event, with a higher number '
    'came later. So what is asked for by number is looked for in a few partitions, and not in all.';
comment on column holdfast.drawn_numbers.at is 'When it was noted, by the database''s clock.';
comment on column holdfast.drawn_numbers.job_id is 'The highest number of a job that had been drawn then.';
comment on column holdfast.drawn_numbers.event_id is 'The highest number of an event of the lock history that had been drawn then.';

create function holdfast.job_since(job_id bigint) returns timestamptz language sql stable as $$
    select coalesce((
        select n.at - interval '1 day'
        from holdfast.drawn_numbers n
        where n.job_id < job_since.job_id
        order by n.job_id desc, n.at desc
        limit 1), '-infinity')
$$;
comment on function holdfast.job_since(bigint) is
    'A time before which a job with such a number, or a higher one, cannot have come; the day is for a clock that was set. '
    'Example: select holdfast.job_since(42);';

create function holdfast.event_since(event_id bigint) returns timestamptz language sql stable as $$
    select coalesce((
        select n.at - interval '1 day'
        from holdfast.drawn_numbers n
        where n.event_id < event_since.event_id
        order by n.event_id desc, n.at desc
        limit 1), '-infinity')
$$;
comment on function holdfast.event_since(bigint) is
    'A time before which an event with such a number, or a higher one, cannot have happened: events are written a moment '
    'after they happened, and a day is more than any delay. Example: select holdfast.event_since(42);';

-- Queues ---------------------------------------------------------------------------------------------------------

create table holdfast.queues (
    name        text        not null,
    paused_at   timestamptz,
    job_limit   integer,
    line_limit  integer,
    depth       integer,
    counted_at  timestamptz,
    writers     text[],
    constraint queues_pkey primary key (name),
    constraint limits_are_in_bounds check (job_limit between 0 and 1000000000 and line_limit between 0 and 1000000000)
);
create index queues_limited on holdfast.queues (name) where job_limit is not null;
comment on table holdfast.queues is 'What operators have said about queues; a queue needs no row.';
comment on index holdfast.queues_limited is 'Whether any queue has a limit: whoever stores or finishes jobs asks that.';
comment on column holdfast.queues.name is 'The queue.';
comment on column holdfast.queues.paused_at is 'Since when no job of it is started; null: it is not paused.';
comment on column holdfast.queues.job_limit is 'How many unfinished jobs it may have; null: any number.';
comment on column holdfast.queues.line_limit is 'How many unfinished jobs any key may have in it; null: any number.';
comment on column holdfast.queues.depth is
    'For job_limit: how many unfinished jobs it has, with what queue_changes says. Null when it has no limit, and until its '
    'jobs have been counted for the first time: nothing is refused then.';
comment on column holdfast.queues.counted_at is 'When its jobs were last counted.';
comment on column holdfast.queues.writers is
    'Transactions that may have stored or finished jobs of it without a note in queue_changes, as it had no limit when they '
    'looked: its jobs are counted once those have ended.';

-- To count the jobs of a queue takes a look at all jobs there are. So those of a queue with a limit are counted once, and
-- then each transaction that stores or finishes some adds a row: rows of others are not waited for, as an update of one
-- count would. The row is a part of the transaction, so whatever a crash undoes is undone in both.
create table holdfast.queue_changes (
    queue text    not null,
    jobs  integer not null
);
create index queue_changes_queue on holdfast.queue_changes (queue) include (jobs);
comment on table holdfast.queue_changes is
    'By how much the number of unfinished jobs of queues with a limit has changed since depth was last brought up to date, '
    'which is done each second: a row for each transaction that stored or finished some.';
comment on index holdfast.queue_changes_queue is 'The changes of a queue.';
comment on column holdfast.queue_changes.queue is 'The queue.';
comment on column holdfast.queue_changes.jobs is 'How many jobs came, or, when it is negative, went.';

create function holdfast.note_jobs(queues text[], sign integer) returns void language plpgsql as $$
begin
    -- Most databases have no limit, and do no more than ask. A statement after those that have changed jobs or locked their
    -- lines: whoever has not done so yet when a limit is looked at by holdfast.job_writers() sees it here.
    if exists (select from holdfast.queues q where q.job_limit is not null) then
        insert into holdfast.queue_changes (queue, jobs)
        select u.queue, sign * count(*)
        from unnest(queues) as u(queue)
        join holdfast.queues q on q.name = u.queue and q.job_limit is not null
        group by u.queue;
    end if;
end
$$;
comment on function holdfast.note_jobs(text[], integer) is
    'Notes that jobs came (1) or went (-1), given the queue of each: of queues with a limit, and of no others.';

create function holdfast.queue_depth(queue text) returns bigint language sql stable as $$
    select q.depth + coalesce((select sum(c.jobs) from holdfast.queue_changes c where c.queue = q.name), 0)
    from holdfast.queues q
    where q.name = queue_depth.queue
$$;
comment on function holdfast.queue_depth(text) is
    'How many unfinished jobs a queue with a limit has; null when it has no limit, or is not counted yet. '
    'Example: select holdfast.queue_depth(''default'');';

-- Workers --------------------------------------------------------------------------------------------------------

create sequence holdfast.worker_id_seq as bigint;
comment on sequence holdfast.worker_id_seq is 'Ids of worker processes; never used twice.';

create sequence holdfast.beat as bigint;
comment on sequence holdfast.beat is
    'Heartbeats of workers. No number is given twice, so one who was taken for dead and comes back has a beat that nobody '
    'has seen.';

create table holdfast.workers (
    id                 bigint      not null,
    name               text        not null,
    queues             text[]      not null,
    kinds              text[]      not null default '{}',
    slots              integer     not null,
    nodes_without_vote text[]      not null default '{}',
    held_up_kinds      text[]      not null default '{}',
    troubles           text[]      not null default '{}',
    node_warnings      text[]      not null default '{}',
    lock_nodes         text[]      not null default '{}',
    started_at         timestamptz not null default clock_timestamp(),
    beat               bigint      not null default nextval('holdfast.beat'),
    beat_at            timestamptz not null default clock_timestamp(),
    constraint workers_pkey primary key (id)
);
comment on table holdfast.workers is
    'Worker processes. Each moves its beat on every second. Another that sees no new beat for 5 s, on its own monotonic '
    'clock and while its own statements succeed, removes the row; the lines of a worker without a row are rescued.';
comment on column holdfast.workers.id is 'Drawn by the process when it starts.';
comment on column holdfast.workers.name is 'Host name and process id, or what the operator chose.';
comment on column holdfast.workers.queues is 'The queues it claims from.';
comment on column holdfast.workers.kinds is 'The kinds of job that it has a handler for.';
comment on column holdfast.workers.slots is 'How many tasks it runs at once.';
comment on column holdfast.workers.nodes_without_vote is
    'The lock nodes that have no vote for this worker, as of its last beat, each with why: it is not connected to it, it is in '
    'quarantine, or it answers with errors. As in: r2:6379 (not connected: connection refused).';
comment on column holdfast.workers.held_up_kinds is
    'The kinds of which it begins no job, as of its last beat: there is no quorum of lock nodes, or the value node cannot be written to.';
comment on column holdfast.workers.troubles is 'Why that is, as of its last beat; in words.';
comment on column holdfast.workers.node_warnings is
    'What the nodes should be told otherwise that it uses, as of its last beat: one may evict locks, for example; in words.';
comment on column holdfast.workers.lock_nodes is
    'By what its lock nodes are known under whatever names, in order: the texts under holdfast:node. Empty while that is not known.';
comment on column holdfast.workers.started_at is 'When it first registered.';
comment on column holdfast.workers.beat is 'The number of its last heartbeat: that it changes says that the worker lives.';
comment on column holdfast.workers.beat_at is 'When the last one was, by the database''s clock. It is shown; nothing is decided by it.';

create table holdfast.duties (
    name text not null,
    constraint duties_pkey primary key (name)
);
insert into holdfast.duties (name) values ('promote'), ('rescue'), ('seal'), ('partitions'), ('count');
comment on table holdfast.duties is
    'What only one worker at a time does; each is done by whoever gets its row''s lock, and skipped by the others. Rows, and '
    'not advisory locks, as any login could take those.';
comment on column holdfast.duties.name is
    'promote: lets in what is due; rescue: puts the lines of dead workers back; seal: seals the history; '
    'partitions: makes and drops them; count: counts the jobs of queues with a limit.';

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
comment on index holdfast.idempotency_keys_expiry is 'Those that have expired.';
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

create function holdfast.reserve_ids(idempotency_keys text[], digests bytea[], only_known boolean default false)
returns table (ordinal integer, job_id bigint, is_new boolean, is_same boolean, submitted_at timestamptz) language plpgsql
security definer set search_path = pg_catalog, holdfast, pg_temp as $$
#variable_conflict use_column
declare
    fresh text[] := '{}';
begin
    if not only_known then
        with reserved as (
            insert into holdfast.idempotency_keys as i (idempotency_key, digest, job_id, expires_at)
            select w.idempotency_key, w.digest, nextval('holdfast.jobs_id_seq'), clock_timestamp() + interval '1 day'
            from (
                select distinct on (k.idempotency_key) k.idempotency_key, k.digest
                from unnest($1, $2) with ordinality as k(idempotency_key, digest, ordinal)
                order by k.idempotency_key, k.ordinal) w
            on conflict (idempotency_key) do update
                set digest = excluded.digest, job_id = excluded.job_id, expires_at = excluded.expires_at
                where i.expires_at <= clock_timestamp()
            returning i.idempotency_key)
        select coalesce(array_agg(r.idempotency_key), '{}') into fresh from reserved r;
    end if;
    -- A statement of its own, to see what others have committed while the insert waited for them.
    return query
        select k.ordinal::integer, i.job_id,
               i.idempotency_key = any (fresh) and row_number() over (partition by i.idempotency_key order by k.ordinal) = 1,
               i.digest = k.digest,
               i.expires_at - interval '1 day'
        from unnest($1, $2) with ordinality as k(idempotency_key, digest, ordinal)
        join holdfast.idempotency_keys i on i.idempotency_key = k.idempotency_key
        where not only_known or i.expires_at > clock_timestamp()
        order by k.ordinal;
end
$$;
comment on function holdfast.reserve_ids(text[], bytea[], boolean) is
    'A job''s number for each idempotency key, in their order: whether it is a new one, to be used now, and whether what '
    'had the key before is the same. With only_known, nothing is reserved, and only keys that have a job are told.';

-- Lines and their heads ------------------------------------------------------------------------------------------

create function holdfast.best_priority(key text, from_place bigint) returns smallint language sql stable as $$
    select min(j.priority)
    from (
        select n.priority
        from holdfast.jobs n
        where n.lock_key = key and n.place >= from_place
        order by n.place
        limit 1000) j
$$;
comment on function holdfast.best_priority(text, bigint) is
    'The best priority of the jobs of a line from a place on. It reads 1,000 of them at most, as a settle that frees a line '
    'may ask for it; a job that is further behind counts when it comes within reach.';

create function holdfast.show_head(keys text[]) returns setof text language sql as $$
    update holdfast.key_lines k
    set head_place = case when k.held_by is null then h.place else k.head_place end,
        queue = case when k.held_by is null then h.queue else k.queue end,
        kind = case when k.held_by is null then h.kind else k.kind end,
        priority = holdfast.best_priority(k.lock_key, h.place)
    from unnest(keys) as u(key)
    cross join lateral (
        select l.ctid as line, l.head_place from holdfast.key_lines l where l.lock_key = u.key limit 1) l
    cross join lateral (
        select j.place, j.queue, j.kind
        from holdfast.jobs j
        where j.lock_key = u.key and j.place >= l.head_place
        order by j.place
        limit 1) h
    where k.ctid = l.line
    returning k.queue
$$;
comment on function holdfast.show_head(text[]) is
    'Lets lines show their head: its queue, its kind, and the best priority of their jobs; of a line that is held only the '
    'latter, as its worker moves it on. The caller has locked them. Returns their queues.';

create function holdfast.join_lines(keys text[]) returns setof text language plpgsql as $$
declare
    now_   constant timestamptz := clock_timestamp();
    ids    bigint[];
    joined bigint;
begin
    ids := array(
        select i.id
        from unnest(keys) as u(key)
        cross join lateral (
            select j.id, j.run_at
            from holdfast.jobs j
            where j.place is null and j.lock_key = u.key and j.run_at <= now_
            order by j.run_at, j.id
            for update) i
        order by i.run_at, i.id);
    -- Places are drawn here, under the locks of the lines; the first that was due first.
    update holdfast.jobs j
    set place = p.place
    from (select u.id, nextval('holdfast.jobs_id_seq') as place from unnest(ids) as u(id)) p
    where j.id = p.id and j.id = any (ids);
    get diagnostics joined = row_count;
    if joined > 0 then return query select holdfast.show_head(keys); end if;
end
$$;
comment on function holdfast.join_lines(text[]) is
    'Lets the jobs of some keys that are due join their lines. The caller has locked those lines, in the order of keys. '
    'Returns their queues.';

-- Submission -----------------------------------------------------------------------------------------------------

create function holdfast.enqueue(
    ids bigint[], keys text[], kinds text[], "values" text[], queues text[], priorities integer[], run_ats timestamptz[],
    durations_ms integer[], lock_ttls_ms integer[], timeouts_ms integer[], max_attempts integer[], metadata text[],
    traceparents text[])
returns table (id bigint, submitted_at timestamptz) language plpgsql
security definer set search_path = pg_catalog, holdfast, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off
-- A line that somebody keeps locked is found out soon: those of the other jobs stay locked meanwhile.
set lock_timeout = '250ms' as $$
declare
    now_  constant timestamptz := clock_timestamp();
    inbox text[];
begin
    -- Lines first: a conflict takes the line's lock even where it writes nothing. Keys in order keep batches from deadlock.
    -- head_place is a lower bound for the places that are about to be drawn. What is for later opens no line.
    insert into holdfast.key_lines (lock_key, queue, kind, priority, turn, head_place)
    select l.lock_key, l.queue, l.kind, l.priority, nextval('holdfast.turn'), l.head_place
    from (
        select b.lock_key, (array_agg(b.queue order by b.ordinal))[1] as queue,
               (array_agg(b.kind order by b.ordinal))[1] as kind, min(b.priority) as priority,
               (select s.last_value from holdfast.jobs_id_seq s) as head_place
        from unnest(keys, queues, kinds, priorities, run_ats) with ordinality
            as b(lock_key, queue, kind, priority, run_at, ordinal)
        where b.run_at is null or b.run_at <= now_
        group by b.lock_key
        order by b.lock_key) l
    on conflict (lock_key) do update set priority = excluded.priority where key_lines.priority > excluded.priority;
    -- What was submitted earlier, and waits to join one of these lines, goes first. A statement after the locks: it sees
    -- what was committed while the insert waited for them.
    inbox := array(
        select b.lock_key
        from unnest(keys, run_ats) as b(lock_key, run_at)
        cross join lateral (
            select
            from holdfast.jobs j
            where j.place is null and j.lock_key = b.lock_key and j.run_at <= now_
            limit 1) i
        where b.run_at is null or b.run_at <= now_
        group by b.lock_key);
    if inbox <> '{}' then perform holdfast.join_lines(inbox); end if;
    -- Places are drawn now that all lines are locked: for each key they rise in the order of the locks, and no settle can
    -- miss a job.
    return query
        insert into holdfast.jobs as j
            (id, place, lock_key, kind, value, queue, priority, duration_ms, lock_ttl_ms, max_attempts, timeout_ms,
             run_at, metadata, traceparent)
        select coalesce(n.id, n.number), case when n.run_at is null or n.run_at <= now_ then n.number end,
               n.lock_key, n.kind, n.value, n.queue, n.priority, n.duration_ms, n.lock_ttl_ms, n.most,
               n.timeout_ms, n.run_at, n.metadata::jsonb, n.traceparent
        from (
            select b.*, nextval('holdfast.jobs_id_seq') as number
            from unnest(ids, keys, kinds, "values", queues, priorities, run_ats, durations_ms, lock_ttls_ms, timeouts_ms,
                        max_attempts, metadata, traceparents) with ordinality
                as b(id, lock_key, kind, value, queue, priority, run_at, duration_ms, lock_ttl_ms, timeout_ms, most,
                     metadata, traceparent, ordinal)
            order by b.ordinal) n
        returning j.id, j.submitted_at;
    if exists (select from holdfast.queues q where q.job_limit is not null) then perform holdfast.note_jobs(queues, 1); end if;
end
$$;
comment on function holdfast.enqueue(bigint[], text[], text[], text[], text[], integer[], timestamptz[], integer[], integer[], integer[], integer[], text[], text[]) is
    'Stores a batch of jobs, one array for each field: ids are of those that have a number already. Returns a row for each, '
    'in their order. What comes in from SQL is checked by holdfast.submit; here nothing is.';

create function holdfast.locked_lines(keys text[]) returns text[]
language plpgsql security definer set search_path = pg_catalog, holdfast, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
declare
    free text[];
begin
    free := array(select k.lock_key from holdfast.key_lines k where k.lock_key = any (keys) for no key update skip locked);
    return array(select k.lock_key from holdfast.key_lines k where k.lock_key = any (keys) and k.lock_key <> all (free));
end
$$;
comment on function holdfast.locked_lines(text[]) is
    'Those of some keys whose lines another transaction has locked at this moment, so that a job for them would have to wait. '
    'Example: select holdfast.locked_lines(array[''a'', ''b'']);';

create function holdfast.submit(
    key text, value text, kind text default 'lockAndSet', queue text default 'default', priority integer default 5,
    run_at timestamptz default null, max_attempts integer default 20, lock_ttl_ms integer default 20000,
    duration_ms integer default 10000, timeout_ms integer default null, metadata jsonb default null,
    traceparent text default null, idempotency_key text default null) returns bigint language plpgsql
security definer set search_path = pg_catalog, holdfast, pg_temp as $$
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
        when key in ('.', '..') then 'key must not be . or .., which no path can name'
        when kind in ('.', '..') then 'kind must not be . or .., which no path can name'
        when queue in ('.', '..') then 'queue must not be . or .., which no path can name'
        when value is null or octet_length(value) > 1048576 then 'value must have at most 1048576 bytes'
        when kind is null or octet_length(kind) not between 1 and 128 then 'kind must have 1 to 128 bytes'
        when queue is null or octet_length(queue) not between 1 and 128 then 'queue must have 1 to 128 bytes'
        when priority is null or priority not between 0 and 9 then 'priority must be from 0 to 9'
        when max_attempts is null or max_attempts not between 1 and 1000 then 'max_attempts must be from 1 to 1000'
        when lock_ttl_ms is null or lock_ttl_ms not between 1000 and 60000 then 'lock_ttl_ms must be from 1000 to 60000'
        when duration_ms is null or duration_ms not between 0 and 86400000 then 'duration_ms must be from 0 to 86400000'
        when timeout_ms not between 1 and 604800000 then 'timeout_ms must be from 1 to 604800000'
        when run_at < '0001-01-01 00:00Z' or run_at >= '10000-01-01 00:00Z'
            then 'run_at must be a time from the year 1 to the year 9999'
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
    if limits.job_limit is not null and holdfast.queue_depth(queue) >= limits.job_limit then
        raise exception 'queue % is full: it may have % unfinished jobs', queue, limits.job_limit
            using errcode = 'program_limit_exceeded', hint = 'Submit it later.';
    end if;
    if limits.line_limit is not null and limits.line_limit <= (
        select count(*)
        from (
            select
            from holdfast.key_lines k
            join holdfast.jobs j on j.lock_key = k.lock_key and j.place >= k.head_place
            where k.lock_key = submit.key
            limit limits.line_limit) n)
    then
        raise exception 'the line of key % is full: it may have % unfinished jobs', key, limits.line_limit
            using errcode = 'program_limit_exceeded', hint = 'Submit it later.';
    end if;
    -- It joins its line later, in another's transaction: a caller that takes long must not keep the line locked.
    id := coalesce(id, nextval('holdfast.jobs_id_seq'));
    insert into holdfast.jobs
        (id, lock_key, kind, value, queue, priority, run_at, max_attempts, lock_ttl_ms, duration_ms, timeout_ms,
         metadata, traceparent)
    values
        (id, key, kind, value, queue, priority,
         coalesce(run_at, clock_timestamp()), max_attempts, lock_ttl_ms, duration_ms, timeout_ms, metadata, traceparent);
    perform holdfast.note_jobs(array[queue], 1);
    return id;
end
$$;
comment on function holdfast.submit(text, text, text, text, integer, timestamptz, integer, integer, integer, integer, jsonb, text, text) is
    'Submits a job within the caller''s transaction: it is there if that commits, and joins its line a moment later, before '
    'any job of its key that is submitted after the commit. Returns its number. '
    'Example: select holdfast.submit(key => ''invoice:42'', value => ''paid'');';

create function holdfast.promote(lines_since timestamptz, jobs_since timestamptz, most integer)
returns table (queue text, line_due_at timestamptz, job_due_at timestamptz) language plpgsql
security definer set search_path = pg_catalog, holdfast, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
    now_ constant timestamptz := clock_timestamp();
    due  record;
    keys text[];
begin
    -- One at a time: nothing is gained by more.
    perform from holdfast.duties d where d.name = 'promote' for update skip locked;
    if not found then return; end if;
    -- Lines whose wait is over draw their turns. One that somebody has locked is left for the next time.
    return query
        with due as materialized (
            select k.ctid as line, k.due_at
            from holdfast.key_lines k
            where k.held_by is null and k.due_at >= lines_since and k.due_at <= now_
            order by k.due_at
            limit most
            for no key update skip locked),
        turns as (select d.*, nextval('holdfast.turn') as turn from due d)
        update holdfast.key_lines k
        set turn = t.turn, due_at = null, ready_at = now_
        from turns t
        where k.ctid = t.line
        returning k.queue, t.due_at, null::timestamptz;
    -- Jobs that are due. Their lines are locked first, as everywhere: those that are there, unless somebody else has one
    -- locked, whose jobs are left for the next time; then those that are not.
    select array_agg(distinct j.lock_key) as keys, min(j.run_at) as first into due
    from (
        select n.lock_key, n.run_at
        from holdfast.jobs n
        where n.place is null and n.run_at >= jobs_since and n.run_at <= now_
        order by n.run_at, n.id
        limit most) j;
    if due.keys is null then return; end if;
    keys := array(
        select k.lock_key
        from (select u.key from unnest(due.keys) as u(key) order by u.key) u
        cross join lateral (
            select l.lock_key from holdfast.key_lines l where l.lock_key = u.key for no key update skip locked) k);
    keys := keys || array(
        select u.key
        from unnest(due.keys) as u(key)
        where (select true from holdfast.key_lines k where k.lock_key = u.key) is null
        order by u.key);
    insert into holdfast.key_lines (lock_key, queue, kind, priority, turn, head_place)
    select l.key, l.queue, l.kind, l.priority, nextval('holdfast.turn'), l.head_place
    from (
        select u.key, h.queue, h.kind, h.priority, (select s.last_value from holdfast.jobs_id_seq s) as head_place
        from unnest(keys) as u(key)
        cross join lateral (
            select j.queue, j.kind, j.priority
            from holdfast.jobs j
            where j.place is null and j.lock_key = u.key and j.run_at <= now_
            order by j.run_at, j.id
            limit 1) h
        order by u.key) l
    -- One that has come meanwhile is locked by this, too.
    on conflict (lock_key) do update set priority = excluded.priority where key_lines.priority > excluded.priority;
    return query
        select q.queue, null::timestamptz, due.first
        from (select distinct j as queue from holdfast.join_lines(keys) j) q;
    -- Lines that are held move on by themselves; that some jobs were due is said all the same.
    return query select null::text, null::timestamptz, due.first;
end
$$;
comment on function holdfast.promote(timestamptz, timestamptz, integer) is
    'Lets in what is due: lines whose wait is over draw their turns, and jobs that are due join their lines, about so many '
    'at most of either. Workers call it five times a second. Returns the queues that have something ready, and since when '
    'what was found was due. Example: select * from holdfast.promote(''-infinity'', ''-infinity'', 1000);';
