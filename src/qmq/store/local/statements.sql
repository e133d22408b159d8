-- name: insert_queue
insert into queue (number, id, name, message_limit, created_ns, tags)
values (:number, :id, :name, :message_limit, :created_ns, :tags)

-- name: update_queue_tags
update queue set tags = :tags where number = :number

-- name: delete_queue
delete from queue where number = :number

-- name: select_queues
select number, id, name, message_limit, created_ns, tags from queue order by number

-- name: insert_message
insert into message (seq, queue, envelope) values (?, ?, ?)

-- name: delete_message
delete from message where seq = ?

-- name: take_message
delete from message where seq = ? returning envelope

-- name: read_message
select envelope from message where seq = ?

-- name: select_messages
-- The length of a blob is known without reading it.
select seq, queue, length(envelope) from message order by seq
