-- Questions about a span of time: the history and the finished jobs by time, and the failed jobs.
--
-- Indexes by time are of blocks (BRIN): rows arrive nearly in the order of time, and a write costs next to nothing more.
-- On a live system a partition cannot be written to while its index is made. So it is made here for those of at most
-- 64 MiB, and for all that are to come; for a larger one an operator makes it, with create index concurrently and
-- alter index … attach partition, and until then such a question reads that partition through.

-- In the order in which a settle writes to them.
lock table holdfast.finished_jobs in share mode;
lock table holdfast.lock_history in share mode;

create index finished_jobs_finished_at on only holdfast.finished_jobs using brin (finished_at)
    with (pages_per_range = 32, autosummarize = on);
create index finished_jobs_failed on only holdfast.finished_jobs (id) where state = 'failed';
create index lock_history_at on only holdfast.lock_history using brin (at) with (pages_per_range = 32, autosummarize = on);
comment on index holdfast.finished_jobs_finished_at is 'For the throughput and the timeline. See the migration time_indexes.';
comment on index holdfast.finished_jobs_failed is 'For the list of failed jobs. See the migration time_indexes.';
comment on index holdfast.lock_history_at is 'For the timeline. See the migration time_indexes.';

do $$
declare
    part record;
begin
    for part in
        select c.relname as name, p.relname as parent
        from pg_inherits i
        join pg_class c on c.oid = i.inhrelid
        join pg_class p on p.oid = i.inhparent
        where i.inhparent in ('holdfast.finished_jobs'::regclass, 'holdfast.lock_history'::regclass)
            and pg_table_size(c.oid) <= 64 * 1024 * 1024
        order by p.relname, c.relname
    loop
        if part.parent = 'finished_jobs' then
            execute format('create index %I on holdfast.%I using brin (finished_at) '
                'with (pages_per_range = 32, autosummarize = on)', part.name || '_finished_at', part.name);
            execute format('alter index holdfast.finished_jobs_finished_at attach partition holdfast.%I',
                part.name || '_finished_at');
            execute format('create index %I on holdfast.%I (id) where state = ''failed''',
                part.name || '_failed', part.name);
            execute format('alter index holdfast.finished_jobs_failed attach partition holdfast.%I', part.name || '_failed');
        else
            execute format('create index %I on holdfast.%I using brin (at) with (pages_per_range = 32, autosummarize = on)',
                part.name || '_at', part.name);
            execute format('alter index holdfast.lock_history_at attach partition holdfast.%I', part.name || '_at');
        end if;
    end loop;
end
$$;
