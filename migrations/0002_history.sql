-- The lock history: what happened to every lock. Rows are only ever added.

create type holdfast.lock_event as enum (
    'waiting', 'acquired', 'extended', 'passed', 'released', 'lost', 'refused', 'overrun', 'rescued');
comment on type holdfast.lock_event is
    'waiting: kept out by a foreign holder; acquired: a quorum voted, and the task may start; extended: kept longer; '
    'passed: the job ended, and its hold went on to the next job of its run; released: ended by its holder; lost: not '
    'extended in time, the task was cancelled; refused: a stale fence was turned away; overrun: the task went past its '
    'limit, and was cancelled; rescued: the claim of a dead worker was put back in line';

create table holdfast.node_sets (
    id    integer not null generated always as identity,
    nodes text[]  not null,
    constraint node_sets_pkey primary key (id),
    constraint node_sets_nodes unique (nodes)
);
comment on table holdfast.node_sets is 'The lock nodes that votes are of, in their order; each list is stored once.';
comment on column holdfast.node_sets.id is 'Its number, as the history has it.';
comment on column holdfast.node_sets.nodes is 'The nodes, by host and port.';

create function holdfast.node_set(nodes text[]) returns integer language plpgsql as $$
declare
    found_id integer := (select s.id from holdfast.node_sets s where s.nodes = node_set.nodes);
begin
    if found_id is null and nodes <> '{}' then
        insert into holdfast.node_sets (nodes) values (node_set.nodes) on conflict do nothing;
        -- A statement of its own, to see one that was committed meanwhile.
        select s.id into found_id from holdfast.node_sets s where s.nodes = node_set.nodes;
    end if;
    return found_id;
end
$$;
comment on function holdfast.node_set(text[]) is 'The number of a list of lock nodes, which is stored when it is new; null for none.';

-- The columns of a fixed width come first, the widest before the others: so they need no padding.
create table holdfast.lock_history (
    id           bigint              not null generated always as identity,
    at           timestamptz         not null,
    job_id       bigint,
    fence        bigint,
    worker_id    bigint,
    waited_us    bigint,
    held_us      bigint,
    attempt      integer,
    validity_us  integer,
    node_set     integer,
    event        holdfast.lock_event not null,
    lock_key     text                not null,
    token_digest bytea,
    votes        smallint[],
    jobs         bigint[],
    fences       bigint[],
    outcome      text,
    reason       text
) partition by range (at);
create index lock_history_key on holdfast.lock_history (lock_key, at);
create index lock_history_job on holdfast.lock_history (job_id, at);
-- Of blocks: rows are written nearly in the order of their numbers and times, and a write costs next to nothing more.
create index lock_history_id on holdfast.lock_history using brin (id) with (pages_per_range = 16, autosummarize = on);
create index lock_history_at on holdfast.lock_history using brin (at) with (pages_per_range = 32, autosummarize = on);

comment on table holdfast.lock_history is
    'What happened to every lock; rows are only ever added. A partition for each day (UTC). holdfast.events shows it for people.';
comment on index holdfast.lock_history_key is 'The events of a key, by time.';
comment on index holdfast.lock_history_job is 'The events of a job, by time.';
comment on index holdfast.lock_history_id is 'The events after a number: for sealing, and for those who listen.';
comment on index holdfast.lock_history_at is 'The events of a span of time.';
comment on column holdfast.lock_history.id is 'Rises with each row written; drawn from a sequence, so that no number comes twice.';
comment on column holdfast.lock_history.at is
    'By the database''s clock, less the event''s age. Never before an acquisition, never after a release: intervals '
    'between the two are parts of the true holds.';
comment on column holdfast.lock_history.job_id is
    'The job whose attempt it was; of a hold that served several, the first. Null of a line that was rescued while none ran.';
comment on column holdfast.lock_history.fence is 'The attempt''s fence.';
comment on column holdfast.lock_history.worker_id is 'The worker of the attempt.';
comment on column holdfast.lock_history.waited_us is
    'Of an acquisition: how long it took from the first try for the lock, in microseconds.';
comment on column holdfast.lock_history.held_us is
    'Of an end, or an extension: how long the job had the lock until then, in microseconds on the worker''s monotonic clock; '
    'counted from the acquisition, or, in a hold that served several jobs, from the end of the job before.';
comment on column holdfast.lock_history.attempt is 'Which attempt of the job, from 1.';
comment on column holdfast.lock_history.validity_us is
    'Of an acquisition or an extension: for how long the lock could be relied on from then, in microseconds. Of lost: what of '
    'that was left when the task was cancelled.';
comment on column holdfast.lock_history.node_set is 'Which lock nodes the votes are of: see node_sets.';
comment on column holdfast.lock_history.event is 'What happened: \dT+ holdfast.lock_event says what each means.';
comment on column holdfast.lock_history.lock_key is 'The key; its lock is locks:{key}.';
comment on column holdfast.lock_history.token_digest is
    'Of an acquisition: the first 8 bytes of the SHA-256 of what was stored under the lock on the nodes.';
comment on column holdfast.lock_history.votes is
    'Each lock node''s answer, in the order of the node set: its verdict, as in holdfast.verdicts(), and its latency, in '
    'microseconds, or, when it is negative, in milliseconds. holdfast.votes_json shows them by name.';
comment on column holdfast.lock_history.jobs is 'Of an acquisition: the jobs that the hold may serve, in order, when these are several.';
comment on column holdfast.lock_history.fences is 'The fence of each of those.';
comment on column holdfast.lock_history.outcome is
    'Of an end: what became of the attempt, such as succeeded, failed, snoozed or cancelled.';
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

create function holdfast.make_partitions(days_ahead integer, days_back integer default 1) returns integer
language plpgsql security definer set search_path = pg_catalog, holdfast, pg_temp
-- The bounds are written and read as text.
set datestyle = 'ISO, MDY' set timezone = 'UTC' as $$
declare
    parent    text;
    partition text;
    day       timestamptz;
    made      integer := 0;
begin
    -- One at a time: two makers of one partition would get in each other's way.
    perform from holdfast.duties d where d.name = 'partitions' for update;
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
    insert into holdfast.drawn_numbers (at, job_id, event_id)
    select clock_timestamp(), case when j.is_called then j.last_value else 0 end,
           case when h.is_called then h.last_value else 0 end
    from holdfast.jobs_id_seq j
    cross join holdfast.lock_history_id_seq h
    where not exists (select from holdfast.drawn_numbers n where n.at > clock_timestamp() - interval '30 minutes');
    return made;
end
$$;
comment on function holdfast.make_partitions(integer, integer) is
    'Makes the daily partitions from so many days back to so many ahead (UTC), those that are missing; returns how many it '
    'made. It notes which numbers have been drawn, too: see drawn_numbers. Example: select holdfast.make_partitions(7);';

select holdfast.make_partitions(7);

-- Votes ----------------------------------------------------------------------------------------------------------

create function holdfast.verdicts() returns text[] language sql immutable parallel safe as $$
    select array['granted', 'held', 'unreachable', 'late', 'quarantined', 'stepped', 'refused']
$$;
comment on function holdfast.verdicts() is
    'What a lock node''s vote may be, by the number that the history stores for it, from 1. granted: it did what was asked; '
    'held: another token is, or was found, under the lock; unreachable: there is no connection to it; late: its answer had '
    'not come in time; quarantined: it was restarted and may have forgotten locks, so it was not asked; stepped: its clock '
    'has stepped; refused: it answers with errors, as a read-only replica or a full node does.';

create function holdfast.votes_of(votes smallint[], node_set integer)
returns table (ordinal integer, node text, verdict text, us bigint) language sql stable as $$
    select n.ordinal::integer, n.node, (holdfast.verdicts())[votes[2 * n.ordinal - 1]],
           case when votes[2 * n.ordinal] < 0 then -1000 * votes[2 * n.ordinal]::bigint else votes[2 * n.ordinal] end
    from holdfast.node_sets s
    cross join lateral unnest(s.nodes) with ordinality as n(node, ordinal)
    where s.id = node_set and 2 * n.ordinal <= cardinality(votes)
$$;
comment on function holdfast.votes_of(smallint[], integer) is
    'The votes of a row of the history: a row for each lock node, in their order. '
    'Example: select h.at, v.* from holdfast.lock_history h, holdfast.votes_of(h.votes, h.node_set) v where h.job_id = 42;';

create function holdfast.votes_json(votes smallint[], node_set integer) returns jsonb language sql stable as $$
    select jsonb_agg(jsonb_build_object('node', v.node, 'verdict', v.verdict, 'us', v.us) order by v.ordinal)
    from holdfast.votes_of(votes, node_set) v
$$;
comment on function holdfast.votes_json(smallint[], integer) is
    'The votes of a row of the history as JSON: [{"node": …, "verdict": …, "us": microseconds}].';

create function holdfast.votes_text(votes smallint[], with_nodes boolean, node_set integer) returns text language sql stable as $$
    select string_agg(case when with_nodes then v.node || ' ' || v.verdict else v.verdict end,
                      case when with_nodes then ', ' else ',' end order by v.ordinal)
    from holdfast.votes_of(votes, node_set) v
$$;
comment on function holdfast.votes_text(smallint[], boolean, integer) is
    'The votes of a row of the history for people: the verdicts alone, or each behind its node.';

-- How holds go ---------------------------------------------------------------------------------------------------

create function holdfast.is_end(event holdfast.lock_event) returns boolean language sql immutable parallel safe as $$
    select event in ('passed', 'released', 'lost', 'overrun')
$$;
comment on function holdfast.is_end(holdfast.lock_event) is
    'Whether an event ends a job''s part of a hold; all but passed end the hold itself.';

create function holdfast.closes_hold(event holdfast.lock_event) returns boolean language sql immutable parallel safe as $$
    select event in ('released', 'lost', 'overrun')
$$;
comment on function holdfast.closes_hold(holdfast.lock_event) is 'Whether an event ends a hold.';

create function holdfast.served_by(hold holdfast.lock_history, since timestamptz, until timestamptz)
returns table (ordinal integer, job_id bigint, fence bigint, began_at timestamptz, ended_at timestamptz,
               ended_by holdfast.lock_event, attempt integer, held_us bigint, outcome text, reason text)
language sql stable as $$
    -- Those jobs that have come to run: the first, and each to which all before it passed the hold on. All, because those
    -- that a hold came to no more may pass on the next one, which names them again. An attempt ends within 8 days, as none
    -- may run longer than 7.
    --
    -- An acquisition is recorded at its true time or somewhat later, an end somewhat earlier, and by how much differs from
    -- one call of a settle to the next. So a part begins so long after the acquisition as the parts before it took, by the
    -- worker's monotonic clock: never before its true beginning. It ends no earlier than the part before it, and one that
    -- took less than the clocks differ by is empty.
    select s.ordinal::integer, s.job_id, s.fence,
           -- The end of a short hold may be recorded as if it had been before its acquisition.
           case when s.ordinal = 1 then least(hold.at, s.ended_at)
                else least(greatest(hold.at + s.before_us * interval '1 microsecond', s.passed_at), s.ended_at) end,
           s.ended_at, s.event, coalesce(s.attempt, case when s.ordinal = 1 then hold.attempt end), s.held_us, s.outcome,
           s.reason
    from (
        select j.ordinal, j.job_id, j.fence, e.event, e.attempt, e.held_us, e.outcome, e.reason,
               case when e.at is not null then max(e.at) over (order by j.ordinal) end as ended_at,
               bool_and(coalesce(e.event = 'passed', false)) over before as was_reached,
               max(e.at) over before as passed_at, coalesce(sum(e.held_us) over before, 0) as before_us
        from unnest(coalesce(hold.jobs, array[hold.job_id]), coalesce(hold.fences, array[hold.fence])) with ordinality
            as j(job_id, fence, ordinal)
        left join lateral (
            select h.at, h.event, h.attempt, h.held_us, h.outcome, h.reason
            from holdfast.lock_history h
            where h.job_id = j.job_id and h.fence = j.fence and holdfast.is_end(h.event)
                -- A worker that got no answer does not know that the hold is recorded, nor from when on: its end may lie a
                -- little before that. A fence is of one attempt, so this is no other's.
                and h.at >= hold.at - interval '1 minute' and h.at <= hold.at + interval '8 days'
                -- Known when this is planned, if the caller knows it: then a few partitions are looked at, and not all.
                and h.at >= since and h.at <= until
            order by h.at, h.id
            limit 1) e on true
        window before as (order by j.ordinal rows between unbounded preceding and 1 preceding)) s
    where s.ordinal = 1 or s.was_reached
$$;
comment on function holdfast.served_by(holdfast.lock_history, timestamptz, timestamptz) is
    'The jobs that a hold has served, in order, and from when to when: given the row of its acquisition, and a span of time '
    'that all of it is in. ended_at is null while the last of them runs, or when its worker died.';

create function holdfast.hold_serving(key text, fence bigint, ended_at timestamptz, since timestamptz, until timestamptz)
returns setof holdfast.lock_history language sql stable as $$
    -- The last acquisitions are looked at, by the index, and never all of a busy key's.
    select l.*
    from (
        select h.*
        from holdfast.lock_history h
        where h.lock_key = key and h.event = 'acquired' and h.at <= ended_at and h.at >= ended_at - interval '8 days'
            and h.at >= since and h.at <= until
        order by h.at desc
        limit 8) l
    where hold_serving.fence = any (coalesce(l.fences, array[l.fence]))
    order by l.at desc
    limit 1
$$;
comment on function holdfast.hold_serving(text, bigint, timestamptz, timestamptz, timestamptz) is
    'The acquisition of the hold that an attempt had, given its key and fence, and a time at which it had ended or was over: '
    'its own one, or that of a job whose hold was passed on to it. It is looked for in a span of time that keeps the look short.';

create function holdfast.extended_until(hold holdfast.lock_history, since timestamptz, until timestamptz)
returns table (valid_until timestamptz) language sql stable as $$
    select greatest(hold.at + hold.validity_us * interval '1 microsecond', max(h.at + h.validity_us * interval '1 microsecond'))
    from holdfast.lock_history h
    where h.job_id = hold.job_id and h.fence = hold.fence and h.event = 'extended'
        and h.at >= hold.at and h.at <= hold.at + interval '8 days' and h.at >= since and h.at <= until
$$;
comment on function holdfast.extended_until(holdfast.lock_history, timestamptz, timestamptz) is
    'Until when a hold could be relied on, as far as that is recorded: given the row of its acquisition, and a span of time '
    'that all of it is in.';

create view holdfast.lock_holds as
select a.lock_key, s.job_id, s.attempt, a.worker_id, s.fence, s.began_at as acquired_at, s.ended_at, s.ended_by,
       v.valid_until, s.reason, case when s.ordinal = 1 then a.waited_us end as waited_us,
       s.held_us, holdfast.votes_json(a.votes, a.node_set) as votes, a.token_digest
from holdfast.lock_history a
cross join lateral holdfast.served_by(a, '-infinity', 'infinity') s
cross join lateral holdfast.extended_until(a, '-infinity', 'infinity') v
where a.event = 'acquired';
comment on view holdfast.lock_holds is
    'One row for each job''s part of a hold, as an interval; ended_at is null while it lasts, or when its worker died: then '
    'it was over at valid_until at the latest. An attempt ends within 8 days, as none may run longer than 7. '
    'Example: select * from holdfast.lock_holds where lock_key = ''demo'' order by acquired_at;';

create function holdfast.current_hold(line holdfast.key_lines, since timestamptz default '-infinity')
returns table (job_id bigint, fence bigint, attempt integer, worker_id bigint, began_at timestamptz, valid_until timestamptz,
               votes smallint[], node_set integer, jobs bigint[]) language sql stable as $$
    -- The last acquisition under the line's claim, unless the job that it came to last has ended. Two clocks may differ by
    -- the minute.
    select s.job_id, s.fence, coalesce(s.attempt, (select j.attempt + 1 from holdfast.jobs j where j.id = s.job_id)),
           (a.hold).worker_id, s.began_at, v.valid_until, (a.hold).votes, (a.hold).node_set, (a.hold).jobs
    from (
        select h as hold
        from holdfast.lock_history h
        where h.lock_key = line.lock_key and h.event = 'acquired' and h.fence > line.fence
            and h.at >= line.claimed_at - interval '1 minute' and h.at >= since
        order by h.at desc
        limit 1) a
    cross join lateral (
        select * from holdfast.served_by(a.hold, since, 'infinity') r order by r.ordinal desc limit 1) s
    cross join lateral holdfast.extended_until(a.hold, since, 'infinity') v
    where line.held_by is not null and s.ended_at is null
$$;
comment on function holdfast.current_hold(holdfast.key_lines, timestamptz) is
    'The job that runs on a line, and its hold: what "running" means; and the jobs that the hold may serve, if these are '
    'several. No row when none runs, or its end is recorded. What is given as `since` is before any claim that is held now, '
    'and keeps the look short.';

create function holdfast.running(line holdfast.key_lines)
returns table (job_id bigint, fence bigint, attempt integer, worker_id bigint, began_at timestamptz, valid_until timestamptz,
               votes smallint[], node_set integer, jobs bigint[])
language plpgsql stable set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
declare
    since constant timestamptz := line.claimed_at - interval '1 minute';
begin
    if line.held_by is not null then
        return query select * from holdfast.current_hold(line, since);
    end if;
end
$$;
comment on function holdfast.running(holdfast.key_lines) is
    'As current_hold, of one line: planned each time for the days since its claim, and for no others. '
    'Example: select c.* from holdfast.key_lines k cross join lateral holdfast.running(k) c where k.lock_key = ''demo'';';

-- Jobs as they are shown -----------------------------------------------------------------------------------------

create function holdfast.shown(job holdfast.jobs, fence bigint, began_at timestamptz) returns setof holdfast.finished_jobs
language sql stable as $$
    select job.id, job.lock_key, job.kind, job.value, job.queue, job.priority, job.run_at, job.duration_ms, job.lock_ttl_ms,
           job.timeout_ms, job.attempt + case when fence is not null then 1 else 0 end, job.max_attempts,
           case when fence is not null then 'running' when job.attempt > 0 then 'retrying'
                when job.place is null and job.run_at > now() then 'scheduled' else 'queued' end,
           job.last_error, fence, null::bigint, job.submitted_at, began_at, null::timestamptz, job.metadata,
           job.traceparent, job.progress, job.progress_note
$$;
comment on function holdfast.shown(holdfast.jobs, bigint, timestamptz) is
    'An unfinished job in the form of a finished one, with its state: scheduled, queued, retrying, or running, if the fence '
    'and the beginning of an attempt are given that lasts.';

create function holdfast.find_job(job_id bigint) returns setof holdfast.finished_jobs
language plpgsql stable set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
declare
    since timestamptz;
    until timestamptz;
begin
    return query
        select s.*
        from holdfast.jobs j
        left join holdfast.key_lines k on k.lock_key = j.lock_key and k.held_by is not null and j.place is not null
        left join lateral holdfast.running(k) c on c.job_id = j.id
        cross join lateral holdfast.shown(j, c.fence, c.began_at) s
        where j.id = find_job.job_id;
    if found then return; end if;
    -- It leaves jobs and enters finished_jobs in one transaction, and one snapshot is read here. Most end soon.
    since := holdfast.job_since(find_job.job_id);
    until := since + interval '4 days';
    return query
        select f.* from holdfast.finished_jobs f
        where f.id = find_job.job_id and f.finished_at >= since and f.finished_at < until;
    if found then return; end if;
    return query select f.* from holdfast.finished_jobs f where f.id = find_job.job_id and f.finished_at >= until;
end
$$;
comment on function holdfast.find_job(bigint) is
    'A job, finished or not, in the form of a finished one; finished_at is null while it is not. No row when there is none. '
    'Example: select * from holdfast.find_job(42);';
