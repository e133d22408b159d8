-- name: select_shards
select number, name, cluster, is_removed from q.shard order by number

-- name: begin_cluster
-- In the first database, by the first leader that knows of shards.
insert into q.shard (number, name, cluster)
select 0, $2, gen_random_uuid()::text from q.leader
where epoch = $1 and not exists (select from q.shard)

-- name: register
-- In the first database; numbers of those that were removed are not given again.
insert into q.shard (number, name, cluster)
select (select max(number) + 1 from q.shard), $2, $3 from q.leader where epoch = $1
returning number

-- name: join_cluster
-- In a further database, which has to be new.
insert into q.shard (number, name, cluster)
select $1, $2, $3
where not exists (select from q.shard) and not exists (select from q.queue)
    and not exists (select from q.leader where epoch > 0)
returning number

-- name: fence_shard
-- From then on only commits of this leader are made: what is under way of the one before is done by
-- then, or refused.
update q.journal set epoch = $1 where epoch <= $1 returning epoch

-- name: touch_shard
-- Succeeds, on standbys too where they are synchronous, only if nobody else has taken over.
update q.journal set batch = batch where id = 1 and epoch = $1 returning 1

-- name: lock_journal
select from q.journal where id = 1 for update

-- name: has_queues
select exists (select from q.queue)

-- name: close_shard
-- No leader's epoch is as high, so that nobody writes there any more.
update q.journal set epoch = 9223372036854775807 where id = 1

-- name: remove_shard
update q.shard set is_removed = true where name = $1
