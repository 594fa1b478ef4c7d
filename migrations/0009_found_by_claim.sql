-- A line that is held is found by the number of its claim.
--
-- All versions of a line have its key. While a long transaction stops vacuum, a look by key walks over the dead ones, and
-- so does one by worker over all that it held; one claim's number leads to one version.

-- The stronger lock first: two who go from a weaker one to it would wait for each other.
lock table holdfast.key_lines in access exclusive mode;
drop index holdfast.key_lines_held;
create index key_lines_held on holdfast.key_lines (held_by, fence) where held_by is not null;
comment on index holdfast.key_lines_held is 'The lines of a claim, of a worker, and of workers without a lease.';
