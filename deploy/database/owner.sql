-- For a server of its own, once, as its administrator: the owner of Holdfast's database, who is no superuser.
-- It may make roles, because the migrations make those that the parts run with.
--   OWNER_PASSWORD=… psql --file owner.sql
\set ON_ERROR_STOP on
\getenv owner OWNER_PASSWORD
create role holdfast login createrole password :'owner';
create database holdfast owner holdfast;
