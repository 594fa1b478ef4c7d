-- The queue (jobs, their lines, finished jobs), the workers, and the lock history.

create sequence holdfast.fence as bigint cache 1;
comment on sequence holdfast.fence is
    'One number for each claim and each claimed job, rising for every key; it guards the value, the lock and the settle. '
    'The cache is 1, so that numbers rise across sessions too.';

-- Jobs -----------------------------------------------------------------------------------------------------------

create sequence holdfast.jobs_id_seq as bigint cache 1;
comment on sequence holdfast.jobs_id_seq is
    'Ids of jobs; for each key they rise in the order of submission. The enqueue relies on a cache of 1.';

create table holdfast.jobs (
    id           bigint      not null default nextval('holdfast.jobs_id_seq'),
    lock_key     text        not null,
    kind         text        not null,
    value        text        not null,
    queue        text        not null,
    priority     smallint    not null,
    duration_ms  integer     not null,
    lock_ttl_ms  integer     not null,
    attempt      integer     not null default 0,
    max_attempts integer     not null,
    last_error   text,
    submitted_at timestamptz not null default clock_timestamp(),
    constraint jobs_pkey primary key (id),
    constraint priority_from_0_to_9 check (priority between 0 and 9),
    constraint duration_is_not_negative check (duration_ms >= 0),
    constraint lock_ttl_is_positive check (lock_ttl_ms > 0),
    constraint attempts_are_positive check (attempt >= 0 and max_attempts > 0)
);
create index jobs_line on holdfast.jobs (lock_key, id);

comment on table holdfast.jobs is 'Unfinished jobs, and no others.';
comment on column holdfast.jobs.id is 'Drawn under the lock of the key''s line: within a key, lower means submitted earlier.';
comment on column holdfast.jobs.lock_key is 'The key: the resource that the job names. Its lock is locks:{key} on every lock node.';
comment on column holdfast.jobs.kind is 'Which task runs it; lockAndSet is built in.';
comment on column holdfast.jobs.value is 'What the task is given; for lockAndSet, the value to be written under the key.';
comment on column holdfast.jobs.queue is 'Which workers may run it. A line is in the queue of the job that opened it.';
comment on column holdfast.jobs.priority is '0 (first) to 9; chooses between keys, never between jobs of one key.';
comment on column holdfast.jobs.duration_ms is 'How long the task is declared to take, in ms; lockAndSet''s simulated job takes just that.';
comment on column holdfast.jobs.lock_ttl_ms is 'Time to live of its lock on each node, in ms; a hold is extended while the task runs.';
comment on column holdfast.jobs.attempt is 'Attempts that were begun and did not succeed.';
comment on column holdfast.jobs.max_attempts is 'After that many it is failed.';
comment on column holdfast.jobs.last_error is 'Why the last attempt did not succeed, at most 2,000 characters.';
comment on column holdfast.jobs.submitted_at is 'When it was stored, by the database''s clock.';

create table holdfast.key_lines (
    lock_key      text        not null,
    queue         text        not null,
    priority      smallint    not null,
    ready_at      timestamptz not null,
    head_id       bigint      not null,
    held_by       bigint,
    fence         bigint,
    claimed_at    timestamptz,
    waiting_since timestamptz,
    constraint key_lines_pkey primary key (lock_key),
    constraint claim_has_fence_and_time check (held_by is null or (fence is not null and claimed_at is not null))
);
create index key_lines_free on holdfast.key_lines (queue, priority, ready_at) where held_by is null;
create index key_lines_held on holdfast.key_lines (held_by) where held_by is not null;

comment on table holdfast.key_lines is 'One row for each key that has unfinished jobs; gone when its line is empty.';
comment on column holdfast.key_lines.lock_key is 'The key whose jobs stand in this line.';
comment on column holdfast.key_lines.queue is 'The queue of the job that opened the line.';
comment on column holdfast.key_lines.priority is 'The best priority of any job that joined the line.';
comment on column holdfast.key_lines.ready_at is 'When its head may be claimed: freed then, or the end of a backoff.';
comment on column holdfast.key_lines.head_id is 'No unfinished job of the line has a lower id: a search begins here, past all that is dead.';
comment on column holdfast.key_lines.held_by is 'The worker that has claimed it; null when it is free.';
comment on column holdfast.key_lines.fence is 'The number of its last claim; the fences of that claim''s jobs are higher.';
comment on column holdfast.key_lines.claimed_at is 'When it was last claimed.';
comment on column holdfast.key_lines.waiting_since is 'Since when a foreign holder of the lock has kept its head out; null otherwise.';

create table holdfast.finished_jobs (
    id           bigint      not null,
    lock_key     text        not null,
    kind         text        not null,
    value        text        not null,
    queue        text        not null,
    priority     smallint    not null,
    duration_ms  integer     not null,
    lock_ttl_ms  integer     not null,
    attempt      integer     not null,
    max_attempts integer     not null,
    state        text        not null,
    error        text,
    fence        bigint,
    worker_id    bigint,
    submitted_at timestamptz not null,
    started_at   timestamptz,
    finished_at  timestamptz not null,
    constraint finished_state check (state in ('succeeded', 'failed', 'cancelled'))
) partition by range (finished_at);
create index finished_jobs_id on holdfast.finished_jobs (id);
create index finished_jobs_key on holdfast.finished_jobs (lock_key, id);

comment on table holdfast.finished_jobs is 'Jobs that are over, by day of their end (UTC).';
comment on column holdfast.finished_jobs.id is 'As in jobs.';
comment on column holdfast.finished_jobs.lock_key is 'As in jobs.';
comment on column holdfast.finished_jobs.kind is 'As in jobs.';
comment on column holdfast.finished_jobs.value is 'As in jobs.';
comment on column holdfast.finished_jobs.queue is 'As in jobs.';
comment on column holdfast.finished_jobs.priority is 'As in jobs.';
comment on column holdfast.finished_jobs.duration_ms is 'As in jobs.';
comment on column holdfast.finished_jobs.lock_ttl_ms is 'As in jobs.';
comment on column holdfast.finished_jobs.attempt is 'Attempts that it took, the last one included.';
comment on column holdfast.finished_jobs.max_attempts is 'As in jobs.';
comment on column holdfast.finished_jobs.state is 'succeeded, failed or cancelled.';
comment on column holdfast.finished_jobs.error is 'Why it failed, at most 2,000 characters.';
comment on column holdfast.finished_jobs.fence is 'The fence of its last attempt.';
comment on column holdfast.finished_jobs.worker_id is 'The worker of its last attempt.';
comment on column holdfast.finished_jobs.submitted_at is 'As in jobs.';
comment on column holdfast.finished_jobs.started_at is 'When its last attempt''s lock was acquired.';
comment on column holdfast.finished_jobs.finished_at is 'When it was settled, by the database''s clock.';

-- Workers --------------------------------------------------------------------------------------------------------

create sequence holdfast.worker_id_seq as bigint;
comment on sequence holdfast.worker_id_seq is 'Ids of worker processes; never used twice.';

create table holdfast.workers (
    id          bigint      not null,
    name        text        not null,
    queues      text[]      not null,
    slots       integer     not null,
    started_at  timestamptz not null default clock_timestamp(),
    lease_until timestamptz not null,
    constraint workers_pkey primary key (id)
);
comment on table holdfast.workers is 'Worker processes and their leases. A line held by a worker without a valid lease is orphaned.';
comment on column holdfast.workers.id is 'Drawn by the process when it starts.';
comment on column holdfast.workers.name is 'Host name and process id, or what the operator chose.';
comment on column holdfast.workers.queues is 'The queues it claims from.';
comment on column holdfast.workers.slots is 'How many tasks it runs at once.';
comment on column holdfast.workers.started_at is 'When it first registered.';
comment on column holdfast.workers.lease_until is 'Its heartbeat moves this on; once it is past, the worker''s lines are rescued.';

create table holdfast.leaders (
    role        text        not null,
    worker_id   bigint      not null,
    lease_until timestamptz not null,
    constraint leaders_pkey primary key (role)
);
comment on table holdfast.leaders is 'Who does what only one worker does, and until when.';
comment on column holdfast.leaders.role is 'upkeep: rescue and partitions.';
comment on column holdfast.leaders.worker_id is 'The leader.';
comment on column holdfast.leaders.lease_until is 'The end of its term, unless it renews it.';

-- Lock history ---------------------------------------------------------------------------------------------------

create type holdfast.lock_event as enum (
    'waiting', 'acquired', 'extended', 'released', 'lost', 'refused', 'overrun', 'rescued');
comment on type holdfast.lock_event is
    'waiting: kept out by a foreign holder; acquired: a quorum voted, and the task may start; extended: kept longer; '
    'released: ended by its holder; lost: not extended in time, the task was cancelled; refused: a stale fence was '
    'turned away; overrun: the task went past its limit, and was cancelled; rescued: the claim of a worker without a '
    'lease was put back in line';

create table holdfast.lock_history (
    id          bigint              not null generated always as identity,
    at          timestamptz         not null,
    event       holdfast.lock_event not null,
    lock_key    text                not null,
    job_id      bigint,
    attempt     integer,
    worker_id   bigint,
    fence       bigint,
    token       text,
    votes       jsonb,
    validity_us bigint,
    waited_us   bigint,
    held_us     bigint,
    reason      text,
    constraint lock_history_pkey primary key (id, at)
) partition by range (at);
create index lock_history_key on holdfast.lock_history (lock_key, at);
create index lock_history_job on holdfast.lock_history (job_id, at);

comment on table holdfast.lock_history is 'What happened to every lock; rows are only ever added. By day (UTC).';
comment on column holdfast.lock_history.id is 'Rises with each row written.';
comment on column holdfast.lock_history.at is
    'By the database''s clock, less the event''s age. Never before an acquisition, never after a release: intervals '
    'between the two are parts of the true holds.';
comment on column holdfast.lock_history.event is 'See the type.';
comment on column holdfast.lock_history.lock_key is 'The key; its lock is locks:{key}.';
comment on column holdfast.lock_history.job_id is 'The job whose attempt it was.';
comment on column holdfast.lock_history.attempt is 'Which attempt of the job, from 1.';
comment on column holdfast.lock_history.worker_id is 'The worker of the attempt.';
comment on column holdfast.lock_history.fence is 'The attempt''s fence.';
comment on column holdfast.lock_history.token is 'What was stored under the lock on the nodes: the fence and a random part.';
comment on column holdfast.lock_history.votes is 'Each lock node''s answer: [{"node": …, "verdict": …, "us": microseconds}].';
comment on column holdfast.lock_history.validity_us is 'Validity left once the nodes had answered, in microseconds.';
comment on column holdfast.lock_history.waited_us is 'From the first try for the lock to its acquisition, in microseconds.';
comment on column holdfast.lock_history.held_us is 'From acquisition to the end of the hold, on the worker''s monotonic clock, in microseconds.';
comment on column holdfast.lock_history.reason is 'Why, in words.';

create function holdfast.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'holdfast.lock_history is append-only: % is refused', lower(tg_op)
        using errcode = 'insufficient_privilege';
end
$$;
comment on function holdfast.refuse_change() is 'Trigger: keeps the lock history append-only, for its owner too.';

create trigger lock_history_is_append_only before update or delete on holdfast.lock_history
    for each row execute function holdfast.refuse_change();
create trigger lock_history_is_not_truncated before truncate on holdfast.lock_history
    for each statement execute function holdfast.refuse_change();

-- Partitions -----------------------------------------------------------------------------------------------------

create function holdfast.make_partitions(days_ahead integer) returns integer language plpgsql as $$
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
        for n in -1 .. days_ahead loop
            day := date_trunc('day', clock_timestamp(), 'UTC') + make_interval(hours => 24 * n);
            partition := parent || to_char(day at time zone 'UTC', '_YYYYMMDD');
            continue when to_regclass('holdfast.' || partition) is not null;
            -- Made by itself and attached then: that does not lock out those who read and write the parent.
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
comment on function holdfast.make_partitions(integer) is
    'Makes the daily partitions from yesterday to so many days ahead (UTC), those that are missing; returns how many it made.';

select holdfast.make_partitions(7);

-- Views ----------------------------------------------------------------------------------------------------------

create view holdfast.lock_holds as
select a.lock_key, a.job_id, a.attempt, a.worker_id, a.fence, a.token,
       a.at as acquired_at, e.at as ended_at, e.event as ended_by,
       coalesce(x.valid_until, a.at + a.validity_us * interval '1 microsecond') as valid_until,
       e.reason, a.waited_us, e.held_us, a.votes
from holdfast.lock_history a
left join lateral (
    select max(h.at + h.validity_us * interval '1 microsecond') as valid_until
    from holdfast.lock_history h
    where h.job_id = a.job_id and h.fence = a.fence and h.event = 'extended' and h.at >= a.at) x on true
left join lateral (
    select h.at, h.event, h.reason, h.held_us
    from holdfast.lock_history h
    where h.lock_key = a.lock_key and h.fence = a.fence and h.at >= a.at
        and h.event in ('released', 'lost', 'overrun')
    order by h.at, h.id
    limit 1) e on true
where a.event = 'acquired';
comment on view holdfast.lock_holds is
    'One row for each hold, as an interval; ended_at is null while it lasts, or when its worker died: then it was over '
    'at valid_until at the latest. '
    'Example: select * from holdfast.lock_holds where lock_key = ''demo'' order by acquired_at;';

create view holdfast.lock_overlaps as
select a.lock_key, a.fence as first_fence, b.fence as second_fence,
       a.acquired_at as first_acquired_at, a.ended_at as first_ended_at, b.acquired_at as second_acquired_at
from holdfast.lock_holds a
join holdfast.lock_holds b
    on b.lock_key = a.lock_key and b.acquired_at >= a.acquired_at and b.fence <> a.fence
    and b.acquired_at < coalesce(a.ended_at, a.valid_until);
comment on view holdfast.lock_overlaps is
    'Pairs of holds of one key at one time: must be empty. Example: select * from holdfast.lock_overlaps;';

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
