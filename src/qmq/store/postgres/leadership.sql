-- name: select_leader
-- Who leads. That it is due by this server's clock says nothing: the clock may have been set.
select epoch, address, expires_at from q.leader

-- name: campaign
-- Takes over if nothing has changed since it was looked, and keeps the one before from commits: by
-- then each of his is made or will never be. An epoch was never used before, also where the
-- database has forgotten the latest ones, since it goes by the time.
with won as (
    update q.leader
    set epoch = greatest(
            epoch + 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint
        ),
        address = $3,
        expires_at = clock_timestamp() + $4::interval,
        clock_ns = greatest(
            clock_ns, (extract(epoch from clock_timestamp()) * 1000000)::bigint * 1000
        )
    where epoch = $1 and expires_at = $2
    returning epoch, clock_ns
), fenced as (
    update q.journal set epoch = won.epoch from won
)
select epoch, clock_ns, pg_notify('q_leader', '') from won

-- name: standing
select current_setting('synchronous_standby_names') <> '' as has_standbys,
    pg_has_role('pg_read_all_stats', 'usage') as sees_standbys,
    (
        select count(*) from pg_stat_replication
        where state = 'streaming' and sync_state in ('sync', 'quorum')
    ) as standbys

-- name: renew
-- Also when it was due already, as long as nobody else has taken over.
update q.leader
set expires_at = clock_timestamp() + $3::interval, clock_ns = greatest(clock_ns, $4)
where epoch = $1 and address = $2
returning epoch

-- name: release
with released as (
    update q.leader
    set address = '', expires_at = '-infinity', clock_ns = greatest(clock_ns, $3)
    where epoch = $1 and address = $2
    returning epoch
)
select pg_notify('q_leader', '') from released

-- name: select_holders
-- What keeps vacuum from removing old versions of rows: by a transaction that writes or by what is
-- seen of others' (xmin). Vacuum itself does not count.
select 'session' as kind, pid::text as name, coalesce(usename, '') as owner,
    coalesce(application_name, '') as application, coalesce(state, 'state unknown') as state,
    coalesce(backend_xid, backend_xmin)::text as xmin,
    case when backend_xid is null then 0
        else coalesce(extract(epoch from clock_timestamp() - xact_start), 0) end::float8 as age_s
from pg_stat_activity
where coalesce(backend_xid, backend_xmin) is not null and pid <> pg_backend_pid()
    and (datid is null or datname = current_database())
    and coalesce(backend_type, '') <> 'autovacuum worker'
union all
select 'prepared transaction', gid, owner, '', 'prepared', transaction::text,
    extract(epoch from clock_timestamp() - prepared)::float8
from pg_prepared_xacts
where database = current_database()
union all
select 'replication slot', slot_name, '', '', case when active then 'active' else 'inactive' end,
    xmin::text, 0
from pg_replication_slots
where xmin is not null
