-- Access: the tokens of the intake's clients, and the roles that the parts run with.

create table holdfast.tokens (
    id         bigint      generated always as identity,
    name       text        not null,
    hash       bytea       not null,
    scopes     text[]      not null,
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz,
    constraint tokens_pkey primary key (id),
    constraint hash_is_sha256 check (octet_length(hash) = 32),
    constraint name_is_short check (octet_length(name) between 1 and 128),
    constraint scopes_are_known check (cardinality(scopes) > 0 and scopes <@ array['submit', 'read', 'operate', 'metrics'])
);
create unique index tokens_name on holdfast.tokens (name) where revoked_at is null;

comment on table holdfast.tokens is
    'What clients of the intake prove themselves with. Rows stay when a token is revoked: once there is one, the intake '
    'asks for tokens on loopback too.';
comment on column holdfast.tokens.id is 'Its number, which is a part of the token.';
comment on column holdfast.tokens.name is 'Who has it; unique among those that are not revoked.';
comment on column holdfast.tokens.hash is
    'SHA-256 of its secret. The secret is 256 random bits: there is nothing to guess that a slow hash would keep from being '
    'guessed, and each request has to be checked.';
comment on column holdfast.tokens.scopes is 'What it is good for: submit, read, operate, metrics.';
comment on column holdfast.tokens.created_at is 'When it was made.';
comment on column holdfast.tokens.expires_at is 'Until when it is good; null: until it is revoked.';
comment on column holdfast.tokens.revoked_at is 'Since when it is good for nothing; null: it is not revoked.';

-- Roles ----------------------------------------------------------------------------------------------------------

-- They belong to the server, which may have several databases with Holdfast in them, and these may be migrated at once.
do $$
declare
    made record;
begin
    for made in
        select *
        from (values
            ('holdfast_intake', 'Holdfast''s intake: submits jobs, and does what its API offers.'),
            ('holdfast_worker', 'Holdfast''s workers: claim, settle, write history, keep the tables in shape.'),
            ('holdfast_auditor', 'Reads all of Holdfast, and changes nothing.')) as r(name, comment)
    loop
        continue when exists (select from pg_roles r where r.rolname = made.name);
        begin
            execute format('create role %I nologin', made.name);
            execute format('comment on role %I is %L', made.name, made.comment);
        exception
            when duplicate_object or unique_violation then null;
            when insufficient_privilege then
                raise exception 'the role % is missing, and may not be made by %', made.name, current_user
                    using errcode = 'insufficient_privilege', hint = format('Have an administrator do: create role %I;', made.name);
        end;
    end loop;
end
$$;

grant usage on schema holdfast to holdfast_intake, holdfast_worker, holdfast_auditor;
-- What is granted is listed below, for functions too.
revoke execute on all functions in schema holdfast from public;
alter default privileges in schema holdfast revoke execute on functions from public;

-- All may read the version of the schema.
grant select on holdfast.schema_migrations to holdfast_intake, holdfast_worker;

-- The intake. What it does to the queue, it does by functions that run as their owner.
grant select on holdfast.jobs, holdfast.finished_jobs, holdfast.key_lines, holdfast.queues, holdfast.workers,
    holdfast.live_workers, holdfast.lock_history, holdfast.node_sets, holdfast.lock_holds, holdfast.job_attempts,
    holdfast.current_holds, holdfast.drawn_numbers, holdfast.queue_changes to holdfast_intake;
grant select on sequence holdfast.jobs_id_seq to holdfast_intake;
grant execute on function
    holdfast.enqueue(bigint[], text[], text[], text[], text[], integer[], timestamptz[], integer[], integer[], integer[],
        integer[], text[], text[]),
    holdfast.submit(text, text, text, text, integer, timestamptz, integer, integer, integer, integer, jsonb, text, text),
    holdfast.locked_lines(text[]), holdfast.reserve_ids(text[], bytea[], boolean),
    holdfast.job_digest(text, text, text, text, integer, timestamptz, integer, integer, integer, integer, jsonb),
    holdfast.queue_limits(), holdfast.queue_depth(text), holdfast.count_queues(), holdfast.pause(text), holdfast.resume(text), holdfast.limit_queue(text, integer, integer),
    holdfast.cancel(bigint), holdfast.retry(bigint), holdfast.set_priority(bigint, integer),
    holdfast.job_timeline(bigint), holdfast.who_held(text, timestamptz), holdfast.why_waiting(bigint),
    holdfast.events_after(bigint, bigint, integer, text, bigint), holdfast.last_event(),
    holdfast.event_since(bigint), holdfast.queue_counts(text), holdfast.unserved_kinds(),
    holdfast.make_partitions(integer, integer)
    to holdfast_intake;
-- To compare what clients show with the hashes of their secrets.
grant select on holdfast.tokens to holdfast_intake;

-- Workers. They change jobs, lines and history by functions that run as their owner, and by no statement of their own.
grant select on holdfast.jobs, holdfast.key_lines, holdfast.queues, holdfast.orphans, holdfast.live_workers to holdfast_worker;
grant update (progress, progress_note) on holdfast.jobs to holdfast_worker;
grant select, insert, update, delete on holdfast.workers to holdfast_worker;
grant select, delete on holdfast.idempotency_keys to holdfast_worker;
grant usage on sequence holdfast.worker_id_seq, holdfast.beat to holdfast_worker;
grant execute on function
    holdfast.claim(bigint, text[], text[], integer[], bigint[], integer, text[], integer, bigint, bigint, bigint),
    holdfast.settle(
        bigint, timestamptz, timestamptz, boolean, boolean, text[], bigint[], boolean[], bigint[], bigint[], boolean[],
        integer[], bigint[], text[], text[], bigint[], integer[], timestamptz[], integer[], bigint[], integer[], text[],
        bigint[], integer[], text[], smallint[], bigint[], bigint[], integer[], text[], bigint[], timestamptz[], bigint[],
        integer[], bigint[], text[], integer[], integer[], bigint[], bigint[], text[], text[], integer[], integer[]),
    holdfast.promote(timestamptz, timestamptz, integer), holdfast.rescue(), holdfast.count_queues(),
    holdfast.unserved_kinds(), holdfast.give_up(bigint, bigint[]), holdfast.make_partitions(integer, integer),
    holdfast.drop_partitions(integer, integer, integer), holdfast.seal_history(integer), holdfast.last_fence()
    to holdfast_worker;

-- Auditors read all but secrets.
grant select on all tables in schema holdfast to holdfast_auditor;
revoke select on holdfast.tokens from holdfast_auditor;
grant execute on function
    holdfast.holds_of(text, timestamptz, timestamptz, integer), holdfast.who_held(text, timestamptz),
    holdfast.holders_between(text, timestamptz, timestamptz), holdfast.job_timeline(bigint),
    holdfast.key_contention(interval), holdfast.node_votes(interval), holdfast.unrecorded_effects(text[], bigint[]),
    holdfast.verify_seals(bigint, bigint), holdfast.seal_of(bytea, holdfast.history_seals), holdfast.doctor(),
    holdfast.sequence_marks(), holdfast.last_fence(),
    holdfast.why_waiting(bigint), holdfast.queue_counts(text), holdfast.unserved_kinds()
    to holdfast_auditor;

-- What shows the history is in functions of which views and questions are made; they run with their caller's rights.
grant execute on function
    holdfast.rfc3339(timestamptz), holdfast.event_json(holdfast.lock_history), holdfast.verdicts(),
    holdfast.votes_of(smallint[], integer), holdfast.votes_json(smallint[], integer),
    holdfast.votes_text(smallint[], boolean, integer), holdfast.is_end(holdfast.lock_event),
    holdfast.closes_hold(holdfast.lock_event),
    holdfast.served_by(holdfast.lock_history, timestamptz, timestamptz),
    holdfast.extended_until(holdfast.lock_history, timestamptz, timestamptz),
    holdfast.current_hold(holdfast.key_lines, timestamptz), holdfast.best_priority(text, bigint),
    holdfast.hold_serving(text, bigint, timestamptz, timestamptz, timestamptz),
    holdfast.running(holdfast.key_lines), holdfast.shown(holdfast.jobs, bigint, timestamptz), holdfast.find_job(bigint),
    holdfast.job_since(bigint), holdfast.job_history(bigint, timestamptz, timestamptz),
    holdfast.attempts_between(timestamptz, timestamptz),
    holdfast.holds_of(text, timestamptz, timestamptz, integer), holdfast.holds_now(text, integer)
    to holdfast_intake, holdfast_auditor;
