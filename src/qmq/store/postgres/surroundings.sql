-- name: name_session
select set_config('application_name', $1, false)

-- name: select_standbys
-- What q may not see is null.
select coalesce(application_name, ''), coalesce(host(client_addr), ''), coalesce(state, ''),
    coalesce(sync_state in ('sync', 'quorum'), false),
    coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn), 0)::bigint,
    coalesce(extract(epoch from flush_lag), 0)::float8
from pg_stat_replication
order by application_name, pid

-- name: select_peers
select application_name, extract(epoch from clock_timestamp() - backend_start)::float8,
    extract(epoch from clock_timestamp() - state_change)::float8
from pg_stat_activity
where datname = current_database() and application_name like 'q %'
order by application_name, pid
