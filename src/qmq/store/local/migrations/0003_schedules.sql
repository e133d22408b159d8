create table schedule (
    -- In order of their creation.
    number   integer primary key,
    -- Its queue's UUID, a slash, and its name.
    id       text not null unique,
    -- JSON.
    schedule text not null
) strict;
