-- What workers do to lines: claim, settle, rescue. Each is one call, and one round trip.
--
-- Statements within a function see what was committed before each of them (READ COMMITTED): so a lock is taken in one
-- statement, and what it protects is read in the next. The functions' settings keep to the one good plan of each
-- statement: a plan is made once for a connection, whatever the tables hold then, and a table that was empty would be
-- read from end to end for ever.

-- Claiming -------------------------------------------------------------------------------------------------------

create function holdfast.claim(
    worker bigint, queues text[], kinds text[], priorities integer[], floors bigint[], most integer, known_kinds text[],
    run_limit integer, run_ms bigint, run_bytes bigint, bytes bigint)
returns table (
    line integer, lock_key text, claim_fence bigint, head_place bigint, queue text, line_kind text, priority integer,
    turn bigint, waited_us bigint, ready_us bigint, id bigint, place bigint, fence bigint, kind text, value text,
    duration_ms integer, lock_ttl_ms integer, attempt integer, max_attempts integer, timeout_ms integer, metadata text,
    traceparent text, is_cancelled boolean)
language plpgsql security definer set search_path = pg_catalog, holdfast, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
    paused text[];
    tids   tid[];
    lines  holdfast.key_lines[];
    now_   timestamptz;
    -- How many bytes of jobs a line may have in this claim: with many lines, each has its share.
    line_bytes bigint;
begin
    -- One that others take for dead has no row, and gets nothing until it has registered again.
    perform from holdfast.workers w where w.id = worker;
    if not found then return; end if;
    paused := array(select q.name from holdfast.queues q where q.paused_at is not null);
    -- One look at the index for each queue, kind and priority, in their order, from a floor: dead entries below it are not
    -- walked over. The outer limit stops the looks, so no more lines are locked than are taken; the inner one is constant
    -- because a generic plan would expect a tenth of the table of another, and sort that. The lock is one that leaves alone
    -- those who keep a line from being freed, as parts of settles do.
    tids := array(
        select l.line
        from unnest(queues, kinds, priorities, floors) as p(queue, kind, priority, floor)
        cross join lateral (
            select k.ctid as line
            from holdfast.key_lines k
            where k.held_by is null and k.turn is not null and k.queue = p.queue and k.kind = p.kind
                and k.priority = p.priority and k.turn >= p.floor
            order by k.turn
            limit 1000
            for no key update skip locked) l
        where p.queue <> all (paused)
        limit most);
    if tids = '{}' then return; end if;
    -- A line is changed where it was found: its key leads over all its dead versions too.
    with held as (
        update holdfast.key_lines k
        set held_by = worker, fence = nextval('holdfast.fence'), claimed_at = clock_timestamp()
        where k.ctid = any (tids) and k.held_by is null
        returning k)
    select array_agg(h.k order by (h.k).priority, (h.k).turn) into lines from held h;
    if lines is null then return; end if;
    now_ := clock_timestamp();
    line_bytes := greatest(least(run_bytes, bytes / cardinality(lines)), 1);
    -- A statement after the lock: a run has all jobs that had come in by then. It ends with the job before one of another
    -- queue, or of a kind that this worker does not know; with the one that fills its share of bytes, run_bytes at most; and with the one whose
    -- declared durations fill run_ms. All that is claimed has at most `bytes`, but for the first job.
    return query
        with jobs as (
            select l.ordinal, n.*, octet_length(n.value) + coalesce(pg_column_size(n.metadata), 0) + 256 as own_bytes,
                   n.queue = l.queue and n.kind = any (known_kinds) as is_known
            from unnest(lines) with ordinality
                as l(lock_key, queue, kind, priority, turn, due_at, ready_at, head_place, held_by, fence, claimed_at,
                     waiting_since, ordinal)
            left join lateral (
                select m.id, m.place, m.kind, m.value, m.queue, m.duration_ms, m.lock_ttl_ms, m.attempt, m.max_attempts,
                       m.timeout_ms, m.metadata, m.traceparent, m.cancel_requested_at is not null as is_cancelled
                from holdfast.jobs m
                where m.lock_key = l.lock_key and m.place >= l.head_place
                order by m.place
                limit run_limit) n on true),
        runs as materialized (
            select r.*, r.is_ours and sum(case when r.is_ours then r.own_bytes end) over (order by r.ordinal, r.place)
                       - r.own_bytes >= bytes as is_over
            from (
                select j.*, sum(j.own_bytes) over before as bytes_before, sum(j.duration_ms) over before as ms_before,
                       coalesce(j.is_known and coalesce(bool_and(j.is_known) over before, true), false) as is_ours
                from jobs j
                window before as (
                    partition by j.ordinal order by j.place rows between unbounded preceding and 1 preceding)) r
            -- The first of each line is kept, ours or not.
            where r.bytes_before is null
                or (r.is_ours and r.bytes_before < line_bytes and r.ms_before <= run_ms)),
        -- Lines whose first job is over the budget go back, and keep their turns.
        given_back as (
            update holdfast.key_lines k
            set held_by = null
            from (
                select distinct on (r.ordinal) r.ordinal, r.is_over from runs r order by r.ordinal, r.place) f
            cross join lateral (
                select t.ctid as line
                from holdfast.key_lines t
                where t.held_by = worker and t.fence = (lines[f.ordinal]).fence
                limit 1) t
            where f.is_over and k.ctid = t.line)
        select r.ordinal::integer, (lines[r.ordinal]).lock_key, (lines[r.ordinal]).fence, (lines[r.ordinal]).head_place,
               (lines[r.ordinal]).queue, (lines[r.ordinal]).kind, (lines[r.ordinal]).priority::integer,
               (lines[r.ordinal]).turn,
               (extract(epoch from now_ - (lines[r.ordinal]).waiting_since) * 1000000)::bigint,
               (extract(epoch from now_ - (lines[r.ordinal]).ready_at) * 1000000)::bigint,
               case when r.is_ours then r.id end, r.place, case when r.is_ours then nextval('holdfast.fence') end, r.kind,
               case when r.is_ours then r.value end, r.duration_ms, r.lock_ttl_ms, r.attempt, r.max_attempts, r.timeout_ms, r.metadata::text, r.traceparent,
               r.is_cancelled
        from (select * from runs where not is_over order by ordinal, place) r;
end
$$;
comment on function holdfast.claim(bigint, text[], text[], integer[], bigint[], integer, text[], integer, bigint, bigint, bigint) is
    'Marks lines that are ready as held by a worker, `most` at most, and reads a run of jobs from the head of each. It looks '
    'at queues, kinds and priorities in the order given, each from a turn on. A row for each job, in the order of '
    'priorities and turns; one without a job for a line that has none for this worker.';

create type holdfast.started_holds as (lines integer[], times timestamptz[], gone text[]);
comment on type holdfast.started_holds is 'Of a settle: the claims whose holds were recorded, and when; and the jobs that are gone.';

-- Settling -------------------------------------------------------------------------------------------------------

create function holdfast.settle(
    worker bigint, give_up_at timestamptz, clock_reads timestamptz, in_doubt boolean, waits boolean,
    l_keys text[], l_fences bigint[], l_frees boolean[], l_past_places bigint[], l_delays_us bigint[], l_kept_out boolean[],
    f_lines integer[], f_ids bigint[], f_states text[], f_errors text[], f_fences bigint[], f_attempts integer[],
    f_started_at timestamptz[],
    r_lines integer[], r_ids bigint[], r_attempts integer[], r_errors text[], r_fences bigint[], r_numbers integer[],
    nodes text[], all_votes smallint[], all_jobs bigint[], all_fences bigint[],
    e_lines integer[], e_events text[], e_ages_us bigint[], e_not_before timestamptz[], e_jobs bigint[], e_attempts integer[],
    e_fences bigint[], e_tokens text[], e_votes integer[], e_validities_us integer[], e_waited_us bigint[],
    e_held_us bigint[], e_outcomes text[], e_reasons text[], e_serves_from integer[], e_serves_upto integer[])
returns table (line integer, result text, acquired_at timestamptz, gone bigint[])
language plpgsql security definer set search_path = pg_catalog, holdfast, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
    n        constant integer := cardinality(l_fences);
    width    constant integer := 2 * cardinality(nodes);
    since    constant timestamptz := clock_timestamp() - interval '2 days';
    set_id   constant integer := holdfast.node_set(nodes);
    mine     integer[] := '{}';
    stale    integer[] := '{}';
    known    integer[] := '{}';
    all_mine boolean;
    started  holdfast.started_holds;
    more     integer[] := '{}';
begin
    -- A call that the server reads late, when it has been given up and settled again, must change nothing.
    if clock_timestamp() >= give_up_at then return; end if;

    -- Lines first. One that stays held is only kept from being freed or claimed: that lock does not conflict with that of an
    -- enqueue, so a key is drained while it is submitted to. One that is freed is locked for good. Whoever is in the way is
    -- passed over, so that no key makes others wait; but a lone settlement may queue for its line, for a moment.
    if false = any (l_frees) then
        mine := array(
            select l.ordinal
            from generate_series(1, n) as l(ordinal)
            cross join lateral (
                select
                from holdfast.key_lines k
                where k.held_by = worker and k.fence = l_fences[l.ordinal]
                for key share skip locked) k
            where not l_frees[l.ordinal]);
    end if;
    if true = any (l_frees) then
        if waits then
            perform set_config('lock_timeout', '100ms', true);
            mine := mine || array(
                select l.ordinal
                from generate_series(1, n) as l(ordinal)
                cross join lateral (
                    select
                    from holdfast.key_lines k
                    where k.held_by = worker and k.fence = l_fences[l.ordinal]
                    for update) k
                where l_frees[l.ordinal]);
        else
            mine := mine || array(
                select l.ordinal
                from generate_series(1, n) as l(ordinal)
                cross join lateral (
                    select
                    from holdfast.key_lines k
                    where k.held_by = worker and k.fence = l_fences[l.ordinal]
                    for update skip locked) k
                where l_frees[l.ordinal]);
        end if;
    end if;
    all_mine := cardinality(mine) = n;
    -- Of those that were not locked, the ones that are the claim's no more. Fences only rise, so that is final.
    if not all_mine then
        stale := array(
            select l.ordinal
            from generate_series(1, n) as l(ordinal)
            where l.ordinal <> all (mine) and not exists (
                select from holdfast.key_lines k where k.held_by = worker and k.fence = l_fences[l.ordinal]));
    end if;
    -- What a call that got no answer has committed: a part of a run, which left its line held, or what freed its line.
    if in_doubt then
        return query
            select e.line, case when bool_or(h.event = 'refused') then 'stale' else 'freed' end, null::timestamptz,
                   null::bigint[]
            from unnest(e_lines, e_jobs, e_fences) as e(line, job_id, fence)
            cross join lateral (
                select x.event
                from holdfast.lock_history x
                where x.job_id = e.job_id and x.fence = e.fence and x.at >= since
                    and (holdfast.is_end(x.event) or x.event = 'refused')) h
            where e.line = any (stale) or not l_frees[e.line]
            group by e.line;
        known := array(
            select distinct e.line
            from unnest(e_lines, e_jobs, e_fences) as e(line, job_id, fence)
            where (e.line = any (stale) or not l_frees[e.line]) and exists (
                select
                from holdfast.lock_history x
                where x.job_id = e.job_id and x.fence = e.fence and x.at >= since
                    and (holdfast.is_end(x.event) or x.event = 'refused')));
        mine := array(select m from unnest(mine) m where m <> all (known));
        stale := array(select s from unnest(stale) s where s <> all (known));
        all_mine := cardinality(mine) = n;
    end if;

    -- Jobs that are over. Their ids are asked for twice: a plan that joined them would read the whole index. What arrives in
    -- arrays is taken by its ordinal, here and below: to unnest fifteen of them costs more than the rows that they make.
    if f_ids <> '{}' then
        if exists (select from holdfast.queues q where q.job_limit is not null) then
            perform holdfast.note_jobs(array(
                select j.queue
                from unnest(f_lines, f_ids) as o(line, id)
                join holdfast.jobs j on j.id = o.id and j.id = any (f_ids)
                where all_mine or o.line = any (mine)), -1);
        end if;
        with over as (
            delete from holdfast.jobs j
            using generate_series(1, cardinality(f_ids)) as i
            where j.id = f_ids[i] and j.id = any (f_ids) and (all_mine or f_lines[i] = any (mine))
            returning j.*, i)
        insert into holdfast.finished_jobs
            (id, lock_key, kind, value, queue, priority, run_at, duration_ms, lock_ttl_ms, timeout_ms, attempt, max_attempts,
             state, error, fence, worker_id, submitted_at, started_at, finished_at, metadata, traceparent, progress,
             progress_note)
        select o.id, o.lock_key, o.kind, o.value, o.queue, o.priority, o.run_at, o.duration_ms, o.lock_ttl_ms, o.timeout_ms,
               f_attempts[o.i], o.max_attempts, f_states[o.i], f_errors[o.i], f_fences[o.i], worker, o.submitted_at,
               f_started_at[o.i], (select clock_timestamp()), o.metadata, o.traceparent, o.progress, o.progress_note
        from over o;
    end if;
    -- Jobs that are to run again keep their places.
    if r_ids <> '{}' then
        update holdfast.jobs j
        set attempt = r.attempt, last_error = r.error
        from unnest(r_lines, r_ids, r_attempts, r_errors) as r(line, id, attempt, error)
        where j.id = r.id and j.id = any (r_ids) and (all_mine or r.line = any (mine));
    end if;

    -- History. An end's time is counted back from a reading of the clock that was made before, so it is never after the
    -- true one. Of a stale claim the holds have ended all the same.
    if e_lines <> '{}' then
        insert into holdfast.lock_history
            (at, event, lock_key, job_id, attempt, worker_id, fence, node_set, votes, validity_us, waited_us, held_us, outcome,
             reason)
        select greatest(least(clock_reads, clock_timestamp()) - e_ages_us[i] * interval '1 microsecond', e_not_before[i]),
               e_events[i]::holdfast.lock_event, l_keys[e_lines[i]], e_jobs[i], e_attempts[i], worker, e_fences[i],
               case when e_votes[i] is not null then set_id end, all_votes[e_votes[i] : e_votes[i] + width - 1],
               e_validities_us[i], e_waited_us[i], e_held_us[i], e_outcomes[i], e_reasons[i]
        from generate_series(1, cardinality(e_lines)) as i
        where e_events[i] <> 'acquired' and (all_mine or e_lines[i] = any (mine) or e_lines[i] = any (stale))
            -- An event that no end goes with is known by itself.
            and (not in_doubt or not exists (
                select
                from holdfast.lock_history x
                where x.job_id = e_jobs[i] and x.fence = e_fences[i] and x.at >= since
                    and x.event = e_events[i]::holdfast.lock_event and x.held_us is not distinct from e_held_us[i]));
    end if;
    -- What a stale claim wanted to record was refused.
    if stale <> '{}' then
        insert into holdfast.lock_history (at, event, lock_key, job_id, attempt, worker_id, fence, reason)
        select clock_timestamp(), 'refused', l_keys[j.line], j.id, j.attempt, worker, j.fence,
               'settle: the line was put back or claimed again'
        from (
            select f.* from unnest(f_lines, f_ids, f_attempts, f_fences) as f(line, id, attempt, fence)
            union all
            select r.* from unnest(r_lines, r_ids, r_numbers, r_fences) as r(line, id, attempt, fence)) j
        where j.line = any (stale)
        order by j.fence;
    end if;
    -- What may run next, under which hold: of the jobs that are named those that are still there, the first among them. A
    -- cancel has the line's lock, so from here on none of them is cancelled without its worker. An acquisition's time is what
    -- the clock shows now less its age, so it is never before the true one.
    if 'acquired' = any (e_events) then
        with holds as materialized (
            -- Most holds serve one job.
            select i, case when j.is_there then array[e_jobs[i]] end as there, null::bigint[] as fences,
                   case when j.is_there is null then array[e_jobs[i]] end as gone
            from generate_series(1, cardinality(e_lines)) as i
            left join lateral (
                select true as is_there from holdfast.jobs o where o.id = e_jobs[i] limit 1) j on true
            where e_serves_from[i] is null and e_events[i] = 'acquired' and (all_mine or e_lines[i] = any (mine))
            union all
            select i, s.there, s.fences, s.gone
            from generate_series(1, cardinality(e_lines)) as i
            cross join lateral (
                select array_agg(w.id order by w.ordinal) filter (where j.is_there) as there,
                       array_agg(w.fence order by w.ordinal) filter (where j.is_there) as fences,
                       array_agg(w.id order by w.ordinal) filter (where j.is_there is null) as gone
                from unnest(all_jobs[e_serves_from[i] : e_serves_upto[i]], all_fences[e_serves_from[i] : e_serves_upto[i]])
                    with ordinality as w(id, fence, ordinal)
                left join lateral (
                    select true as is_there from holdfast.jobs o where o.id = w.id limit 1) j on true) s
            where e_serves_from[i] is not null and e_events[i] = 'acquired' and (all_mine or e_lines[i] = any (mine))),
        timed as materialized (
            select h.*, e_lines[h.i] as line, h.there[1] = e_jobs[h.i] as begins,
                   greatest(clock_timestamp() - e_ages_us[h.i] * interval '1 microsecond', e_not_before[h.i]) as at
            from holds h),
        acquired as (
            insert into holdfast.lock_history
                (at, event, lock_key, job_id, attempt, worker_id, fence, token_digest, node_set, votes, validity_us, waited_us,
                 held_us, reason, jobs, fences)
            select h.at, 'acquired', l_keys[h.line], e_jobs[h.i], e_attempts[h.i], worker, e_fences[h.i],
                   substr(sha256(convert_to(e_tokens[h.i], 'UTF8')), 1, 8),
                   case when e_votes[h.i] is not null then set_id end, all_votes[e_votes[h.i] : e_votes[h.i] + width - 1],
                   e_validities_us[h.i], e_waited_us[h.i], e_held_us[h.i], e_reasons[h.i],
                   case when cardinality(h.there) > 1 then h.there end, case when cardinality(h.there) > 1 then h.fences end
            from timed h
            where h.begins)
        select array_agg(h.line), array_agg(case when h.begins then h.at end), array_agg(array_to_string(h.gone, ' '))
        into started
        from timed h;
    end if;

    -- Lines move on to their next job, and draw a turn, or wait; those that are empty go. The search from the last place that
    -- is settled walks over no dead rows.
    if true = any (l_frees) then
        with next as materialized (
            select l.ordinal, t.line, t.priority as line_priority, h.place, h.queue, h.kind, h.priority
            from generate_series(1, n) as l(ordinal)
            cross join lateral (
                select k.ctid as line, k.priority
                from holdfast.key_lines k
                where k.held_by = worker and k.fence = l_fences[l.ordinal]
                limit 1) t
            left join lateral (
                select j.place, j.queue, j.kind, j.priority
                from holdfast.jobs j
                where j.lock_key = l_keys[l.ordinal] and j.place > l_past_places[l.ordinal]
                order by j.place
                limit 1) h on true
            where l_frees[l.ordinal] and (all_mine or l.ordinal = any (mine))),
        emptied as (
            delete from holdfast.key_lines k using next e where k.ctid = e.line and e.place is null),
        freed as (
            update holdfast.key_lines k
            set held_by = null, head_place = e.place, queue = e.queue, kind = e.kind,
                -- Where all jobs have one priority, there is nothing to look for.
                priority = case when e.priority = e.line_priority then k.priority
                    else holdfast.best_priority(l_keys[e.ordinal], e.place) end,
                turn = case when l_delays_us[e.ordinal] > 0 then null else nextval('holdfast.turn') end,
                due_at = case when l_delays_us[e.ordinal] > 0
                    then clock_timestamp() + l_delays_us[e.ordinal] * interval '1 microsecond' end,
                ready_at = clock_timestamp(),
                waiting_since = case when l_kept_out[e.ordinal] then coalesce(k.waiting_since, clock_timestamp()) end
            from next e
            where k.ctid = e.line and e.place is not null
            returning e.ordinal)
        select coalesce(array_agg(f.ordinal), '{}') into more from freed f;
    end if;

    return query
        select l.ordinal::integer,
               case when s.ordinal is not null then 'stale'
                    when not all_mine and l.ordinal <> all (mine) then 'busy'
                    when a.at is not null then 'acquired'
                    when a.line is not null then 'refused'
                    when f.ordinal is not null then 'freed'
                    else 'settled' end,
               a.at, string_to_array(a.gone, ' ')::bigint[]
        from generate_series(1, n) as l(ordinal)
        left join unnest(stale) as s(ordinal) on s.ordinal = l.ordinal
        left join unnest(more) as f(ordinal) on f.ordinal = l.ordinal
        left join unnest(started.lines, started.times, started.gone) as a(line, at, gone) on a.line = l.ordinal
        where known = '{}' or l.ordinal <> all (known);
end
$$;
comment on function holdfast.settle(
    bigint, timestamptz, timestamptz, boolean, boolean, text[], bigint[], boolean[], bigint[], bigint[], boolean[], integer[],
    bigint[], text[], text[], bigint[], integer[], timestamptz[], integer[], bigint[], integer[], text[], bigint[], integer[],
    text[], smallint[], bigint[], bigint[], integer[], text[], bigint[], timestamptz[], bigint[], integer[], bigint[], text[],
    integer[], integer[], bigint[], bigint[], text[], text[], integer[], integer[]) is
    'Records what became of claims of one worker, and moves their lines on. l_… are the claims; f_… jobs that are over, r_… '
    'jobs that are to run again, and e_… events, each with the ordinal of its claim; in_doubt: an earlier call with the same '
    'may have been committed. Returns what became of each claim: settled, freed (and its line has jobs left), acquired '
    '(and so is the hold of its next jobs, but for those that are gone), refused (the first of them was cancelled), stale (its line is another''s, or was put back: '
    'nothing was changed, and that is recorded), or busy (somebody has the line locked: nothing was done).';

-- Rescue ---------------------------------------------------------------------------------------------------------

create function holdfast.free_lines(keys text[]) returns setof text language plpgsql as $$
begin
    update holdfast.key_lines k
    set held_by = null, turn = nextval('holdfast.turn'), due_at = null, ready_at = clock_timestamp()
    where k.lock_key = any (keys);
    -- Parts of runs have left them as they were when they were claimed.
    return query select holdfast.show_head(keys);
end
$$;
comment on function holdfast.free_lines(text[]) is
    'Gives lines back to their queues, as they are; the caller has locked them. Returns their queues.';

create function holdfast.give_up(worker bigint, claims bigint[]) returns setof text language plpgsql
security definer set search_path = pg_catalog, holdfast, pg_temp as $$
begin
    return query select holdfast.free_lines(array(
        select k.lock_key
        from holdfast.key_lines k
        where k.held_by = worker and k.fence <> all (claims)
        order by k.lock_key
        for update skip locked));
end
$$;
comment on function holdfast.give_up(bigint, bigint[]) is
    'Gives back the lines that a worker holds besides those of its claims, by their numbers: those of a claim that got no answer.';

create view holdfast.orphans as
select k.lock_key, k.held_by, k.fence, k.claimed_at
from (
    -- Between the numbers of the workers that have a row: what a live worker held and has settled is not walked over, though
    -- a long transaction may keep it in the index.
    select w.id as above, lead(w.id, 1, 9223372036854775807) over (order by w.id) as below
    from (
        select 0::bigint as id
        union all
        select id from holdfast.workers) w) gap
cross join lateral (
    select * from holdfast.key_lines l where l.held_by > gap.above and l.held_by < gap.below limit 1000) k;
comment on view holdfast.orphans is
    'Lines that are held by workers without a row, which are dead or gone; some of them, if there are many.';

create function holdfast.rescue() returns table (lock_key text, queue text) language plpgsql
security definer set search_path = pg_catalog, holdfast, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
    keys text[];
begin
    perform from holdfast.duties d where d.name = 'rescue' for update skip locked;
    if not found then return; end if;
    -- One that is being settled, or looked at by an operator, is left for the next time.
    keys := array(
        select k.lock_key
        from (select o.lock_key, o.held_by, o.fence from holdfast.orphans o order by o.lock_key) o
        cross join lateral (
            select l.lock_key
            from holdfast.key_lines l
            where l.held_by = o.held_by and l.fence = o.fence
            for update skip locked) k);
    if keys = '{}' then return; end if;
    -- An attempt whose acquisition is recorded was begun, and counts.
    with lines as materialized (select k from holdfast.key_lines k where k.lock_key = any (keys)),
    begun as materialized (
        select (l.k).lock_key as lock_key, c.job_id, c.fence, c.attempt
        from lines l
        cross join lateral holdfast.current_hold(l.k) c
        where exists (select from holdfast.jobs j where j.id = c.job_id)),
    counted as (
        update holdfast.jobs j
        set attempt = b.attempt, last_error = 'its worker died'
        from begun b
        where j.id = b.job_id)
    insert into holdfast.lock_history (at, event, lock_key, job_id, attempt, worker_id, fence, reason)
    select clock_timestamp(), 'rescued', (l.k).lock_key, b.job_id, b.attempt, (l.k).held_by, coalesce(b.fence, (l.k).fence),
           'worker ' || (l.k).held_by || ' died, or was cut off'
    from lines l
    left join begun b on b.lock_key = (l.k).lock_key
    order by (l.k).lock_key;
    perform holdfast.free_lines(keys);
    return query select k.lock_key, k.queue from holdfast.key_lines k where k.lock_key = any (keys);
end
$$;
comment on function holdfast.rescue() is
    'Puts lines of dead workers back in their queues, at most 1,000 for each such worker; returns them.';

create view holdfast.live_workers as
select w.*
from holdfast.workers w
where w.beat_at > clock_timestamp() - interval '10 seconds';
comment on view holdfast.live_workers is
    'The workers that have had a heartbeat in the last 10 s, by the database''s clock. For people: rescue does not look at it.';
