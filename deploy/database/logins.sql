-- The users that the parts log in as, each a member of the role that the migrations made for it.
-- As the owner, after each `holdfast migrate`; again, it changes passwords. A login without a password here is left alone.
--   SERVE_PASSWORD=… WORK_PASSWORD=… psql --file logins.sql "$HOLDFAST_DATABASE_URL"
\set ON_ERROR_STOP on
\set serve ''
\set work ''
\set audit ''
\set scale ''
\getenv serve SERVE_PASSWORD
\getenv work WORK_PASSWORD
\getenv audit AUDIT_PASSWORD
\getenv scale SCALE_PASSWORD
-- What is there already is no news.
set client_min_messages = warning;
begin;
-- One at a time, as migrations.
select pg_advisory_xact_lock(hashtextextended('holdfast.logins', 0)) \g /dev/null
create temporary table login (name text, role text, password text) on commit drop;
insert into login
values ('holdfast_serve', 'holdfast_intake', :'serve'), ('holdfast_work', 'holdfast_worker', :'work'),
       ('holdfast_audit', 'holdfast_auditor', :'audit'), ('holdfast_scale', null, :'scale');
delete from login where password = '';
select format('create role %I', l.name) from login l where not exists (select from pg_roles r where r.rolname = l.name) \gexec
select format('alter role %I login password %L', l.name, l.password) from login l \gexec
select format('grant %I to %I', l.role, l.name) from login l where l.role is not null \gexec
-- An autoscaler counts lines, and sees nothing else of them.
select format(g.command, l.name)
from login l
cross join (values
    ('grant usage on schema holdfast to %I'),
    ('grant select (queue, kind, turn, held_by) on holdfast.key_lines to %I'),
    ('grant select (queues, kinds) on holdfast.live_workers to %I'),
    ('grant select (name, paused_at) on holdfast.queues to %I')) g(command)
where l.name = 'holdfast_scale' \gexec
commit;
