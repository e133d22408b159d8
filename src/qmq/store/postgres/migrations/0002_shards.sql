-- Which database of its cluster this is; and in the first one, which others there are.
create table q.shard (
    -- 0 is the first one. The ids of queues have room for it; no number is ever given twice.
    number smallint primary key check (number between 0 and 4095),
    name text not null unique,
    -- The same in all databases of a cluster, and in no other's.
    cluster text not null,
    -- Whether it belongs to the cluster no more.
    is_removed boolean not null default false
);
