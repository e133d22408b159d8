-- name: insert_queue
insert into queue (number, id, name, message_limit, created_ns, tags, settings)
values (:number, :id, :name, :message_limit, :created_ns, :tags, :settings)

-- name: update_queue
update queue set message_limit = :message_limit, tags = :tags, settings = :settings
where number = :number

-- name: delete_queue
delete from queue where number = :number

-- name: select_queues
select number, id, name, message_limit, created_ns, tags, settings from queue order by number

-- name: insert_message
insert into message (seq, queue, envelope) values (?, ?, ?)

-- name: insert_gone
insert into gone (number, seqs) values (?, ?)

-- name: delete_gone
delete from gone where number <= ?

-- name: select_gone
select number, seqs from gone order by number

-- name: delete_messages
-- SQLite goes through the keys in order, here and below, however they come.
delete from message where seq in (select value from carray(?))

-- name: read_messages
-- All of them, one behind the other, in the order of their numbers. Text is what can be joined;
-- SQLite takes its bytes as they are.
select cast(group_concat(cast(envelope as text), '' order by seq) as blob)
from message where seq in (select value from carray(?))

-- name: read_message
select envelope from message where seq = ?

-- name: move_message
-- append_bytes is q's own function, since SQLite's || is for text.
update message set seq = ?, queue = ?, envelope = append_bytes(envelope, ?) where seq = ?

-- name: insert_lease
insert into lease (first_seq, until_ns, leased_ns, consumer, seqs) values (?, ?, ?, ?, ?)

-- name: delete_leases
delete from lease where first_seq in (select value from carray(?))

-- name: select_leases
select first_seq, until_ns, leased_ns, consumer, seqs from lease

-- name: save_delivery
insert or replace into delivery (
    seq, fence, count, state, until_ns, leased_ns, consumer, attempts, redrive_id, priority,
    expires_ns, group_id, fair_key
) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: delete_deliveries
delete from delivery where seq in (select value from carray(?))

-- name: save_redrive
insert into redrive (id, job) values (?, ?) on conflict (id) do update set job = excluded.job

-- name: delete_redrive
delete from redrive where id = ?

-- name: select_redrives
select id, job from redrive order by number

-- name: save_schedule
insert into schedule (id, schedule) values (?, ?)
on conflict (id) do update set schedule = excluded.schedule

-- name: delete_schedule
delete from schedule where id = ?

-- name: select_schedules
select id, schedule from schedule order by number

-- name: select_deliveries
select
    seq, fence, count, state, until_ns, leased_ns, consumer, attempts, redrive_id, priority,
    expires_ns, group_id, fair_key
from delivery

-- name: save_group
insert or replace into held_group (queue, group_id, paused_ns, parked_ns)
values (:queue, :group_id, :paused_ns, :parked_ns)

-- name: delete_group
delete from held_group where queue = :queue and group_id = :group_id

-- name: delete_groups
delete from held_group where queue = :number

-- name: select_groups
select queue, group_id, paused_ns, parked_ns from held_group

-- name: insert_known
insert into dedup (seq, queue, dedup_id, meta, expires_ns) values (?, ?, ?, ?, ?)

-- name: delete_known
delete from dedup where seq in (select value from carray(?))

-- name: select_known
select queue, seq, dedup_id, meta, expires_ns from dedup order by seq

-- name: save_last_number
update sequence set last = :last
where last < :last and :last > coalesce((select max(seq) from message), 0)

-- name: select_last_number
select last from sequence

-- name: save_clock_offset
insert into clock (id, offset_ns) values (1, :offset_ns)
on conflict (id) do update set offset_ns = excluded.offset_ns

-- name: select_clock_offset
select offset_ns from clock

-- name: select_messages
-- The length of a blob is known without reading it.
select seq, queue, length(envelope) from message order by seq
