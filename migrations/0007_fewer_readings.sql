-- Sealing reads the history once in each turn, not once for each seal: with a partition for each of hundreds of days, that
-- was most of what it cost.

create or replace function holdfast.seal_history(most integer default 20000) returns integer
language plpgsql security definer set search_path = pg_catalog, holdfast, pg_temp as $$
declare
    mark    holdfast.history_sealing;
    after   bigint;
    portion record;
    upto    bigint;
    new     holdfast.history_seals;
    sealed  integer := 0;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('holdfast.seal_history', 0)) then return 0; end if;
    select * into mark from holdfast.history_sealing;
    if not found then
        select case when s.is_called then s.last_value else 0 end into mark.upto_id from holdfast.lock_history_id_seq s;
        -- After the id, so that nobody who could have drawn a lower one is missed. Their commits show before their locks go.
        mark.writers := holdfast.history_writers();
        if mark.writers <> '{}' then
            insert into holdfast.history_sealing select mark.*;
            return 0;
        end if;
    elsif mark.writers && holdfast.history_writers() then
        return 0;
    end if;
    select coalesce(max(s.upto_id), 0) into after from holdfast.history_seals s;
    upto := after;
    -- A seal is for at most 1000 rows of a day. Seals of the same rows' days have the same ids as their bounds.
    for portion in
        with unsealed as materialized (
            select d.*, (row_number() over (order by d.id) - 1) / 1000 as place
            from (
                select *
                from holdfast.history_digests h
                where h.id > after and h.id <= mark.upto_id
                order by h.id
                limit most) d)
        select u.day, array_agg(u.id order by u.id) as ids,
               string_agg(substr(u.digest, 1, 8), '' order by u.id) as digests,
               sha256(string_agg(u.digest, '' order by u.id)) as rows_hash,
               max(max(u.id)) over (partition by u.place) as last_id,
               u.place = max(u.place) over () and sum(count(*)) over () < most as is_last
        from unsealed u
        group by u.place, u.day
        order by u.place, u.day
    loop
        if portion.ids[1] > upto then after := upto; end if;
        upto := case when portion.is_last then mark.upto_id else portion.last_id end;
        new.kind := 'sealed';
        new.day := portion.day;
        new.ids := portion.ids;
        new.digests := portion.digests;
        new.rows_hash := portion.rows_hash;
        new.after_id := after;
        new.upto_id := upto;
        perform holdfast.append_seal(new);
        sealed := sealed + cardinality(new.ids);
    end loop;
    if sealed < most then delete from holdfast.history_sealing; end if;
    return sealed;
end
$$;
