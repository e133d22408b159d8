-- name: fence
-- The first part of each commit: the others do nothing unless it finds its row, which is so
-- only for the leader, and only once for each batch.
update q.journal set batch = $2, last_number = greatest(last_number, $3)
where id = 1 and epoch = $1 and batch = $2 - 1
returning 1

-- name: insert_messages
insert into q.message (seq, queue, envelope)
select each.* from fence, unnest($1::bigint[], $2::bigint[], $3::bytea[]) as each

-- name: move_messages
update q.message as message
set seq = each.new_seq, queue = each.queue, envelope = message.envelope || each.suffix
from fence, unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[])
as each (seq, new_seq, queue, suffix)
where message.seq = each.seq

-- name: delete_messages
delete from q.message using fence where seq = any($1::bigint[])

-- name: delete_message_runs
-- Those whose numbers follow each other, by the first and the last of each run: to look each up, and
-- to send its number, takes three times as long.
delete from q.message
using fence, unnest($1::bigint[], $2::bigint[]) as run (first, last)
where seq between run.first and run.last

-- name: delete_deliveries
delete from q.delivery using fence where seq = any($1::bigint[])

-- name: delete_delivery_runs
delete from q.delivery
using fence, unnest($1::bigint[], $2::bigint[]) as run (first, last)
where seq between run.first and run.last

-- name: save_deliveries
insert into q.delivery (
    seq, fence, count, state, until_ns, leased_ns, consumer, attempts, redrive_id, priority,
    expires_ns, group_id, fair_key
)
select each.* from fence, unnest(
    $1::bigint[], $2::bigint[], $3::bigint[], $4::smallint[], $5::bigint[], $6::bigint[],
    $7::text[], $8::text[], $9::text[], $10::integer[], $11::bigint[], $12::text[], $13::text[]
) as each
on conflict (seq) do update set
    fence = excluded.fence,
    count = excluded.count,
    state = excluded.state,
    until_ns = excluded.until_ns,
    leased_ns = excluded.leased_ns,
    consumer = excluded.consumer,
    attempts = excluded.attempts,
    redrive_id = excluded.redrive_id,
    priority = excluded.priority,
    expires_ns = excluded.expires_ns,
    group_id = excluded.group_id,
    fair_key = excluded.fair_key

-- name: insert_leases
insert into q.lease (first_seq, until_ns, leased_ns, consumer, seqs)
select each.* from fence, unnest(
    $1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bytea[]
) as each

-- name: delete_leases
delete from q.lease using fence where first_seq = any($1::bigint[])

-- name: insert_known
insert into q.dedup (seq, queue, dedup_id, meta, expires_ns)
select each.* from fence, unnest(
    $1::bigint[], $2::bigint[], $3::text[], $4::bytea[], $5::bigint[]
) as each

-- name: delete_known
delete from q.dedup using fence where seq = any($1::bigint[])

-- name: save_groups
insert into q.held_group (queue, group_id, paused_ns, parked_ns)
select each.* from fence, unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[]) as each
on conflict (queue, group_id)
do update set paused_ns = excluded.paused_ns, parked_ns = excluded.parked_ns

-- name: delete_groups
delete from q.held_group as held
using fence, unnest($1::bigint[], $2::text[]) as each (queue, group_id)
where held.queue = each.queue and held.group_id = each.group_id

-- name: delete_groups_of_queues
delete from q.held_group using fence where queue = any($1::bigint[])

-- name: save_redrives
insert into q.redrive (id, job)
select each.* from fence, unnest($1::text[], $2::text[]) as each
on conflict (id) do update set job = excluded.job

-- name: delete_redrives
delete from q.redrive using fence where id = any($1::text[])

-- name: save_schedules
insert into q.schedule (id, schedule)
select each.* from fence, unnest($1::text[], $2::text[]) as each
on conflict (id) do update set schedule = excluded.schedule

-- name: delete_schedules
delete from q.schedule using fence where id = any($1::text[])

-- name: insert_queues
insert into q.queue (number, id, name, message_limit, created_ns, tags, settings)
select each.* from fence, unnest(
    $1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[]
) as each

-- name: update_queues
update q.queue as queue
set message_limit = each.message_limit, tags = each.tags, settings = each.settings
from fence, unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[])
as each (number, message_limit, tags, settings)
where queue.number = each.number

-- name: delete_queues
delete from q.queue using fence where number = any($1::bigint[])

-- name: select_envelopes
select seq, envelope from q.message where seq = any($1::bigint[])

-- name: select_journal
-- A commit that may still be under way has the row locked: so this waits for its end.
select epoch, batch from q.journal where id = 1 for update

-- name: touch_journal
-- Where there are synchronous standbys, its commit is confirmed by them, and so is all before it.
update q.journal set batch = batch where id = 1 and epoch = $1

-- name: select_last_number
select last_number, batch from q.journal where id = 1

-- name: select_queues
select number, id, name, message_limit, created_ns, tags, settings from q.queue order by number

-- name: select_deliveries
select
    seq, fence, count, state, until_ns, leased_ns, consumer, attempts, redrive_id, priority,
    expires_ns, group_id, fair_key
from q.delivery
where seq > $1 order by seq limit $2

-- name: select_leases
select first_seq, until_ns, leased_ns, consumer, seqs from q.lease
where first_seq > $1 order by first_seq limit $2

-- name: select_redrives
select id, job from q.redrive order by number

-- name: select_schedules
select id, schedule from q.schedule order by number

-- name: select_groups
select queue, group_id, paused_ns, parked_ns from q.held_group

-- name: select_known
select queue, seq, dedup_id, meta, expires_ns from q.dedup
where seq > $1 order by seq limit $2

-- name: count_messages
-- About how many there are; to count them would be to read them twice.
select greatest(reltuples, 0)::bigint from pg_class where oid = 'q.message'::regclass

-- name: select_messages
-- The length of a bytea is known without reading it.
select seq, queue, octet_length(envelope) from q.message
where seq > $1 order by seq limit $2
