-- A database as a q of format 1 left it, frozen: each later q has to open it.
-- Two queues, of which one has a name, a limit and tags, and three messages; a fourth
-- message was left over from a queue that had been deleted.

create table queue (
    number        integer primary key,
    id            text    not null,
    name          text    not null,
    message_limit integer not null,
    created_ns    integer not null,
    tags          text    not null
) strict;

create table message (
    seq      integer primary key,
    queue    integer not null,
    envelope blob    not null
) strict;

insert into queue values
    (2, '34b85e07-c5e5-4e41-b9b9-7fb5f3c3726c', '', -1, 1795527741951136237, '[]'),
    (4, '88b8bfc2-70f7-4f2a-8b8f-691569653ce6', 'jobs', 5, 1795528077507884403,
     '[["b", "1"], ["a", "\"世\""]]');

insert into message values
    (1795528077507884404, 4, x'0a01'),
    (1795528077507884405, 2, x'0a02'),
    (1795528077507884406, 9, x'0a03'),
    (1795528077507884407, 4, x'0a04');

-- "qmq1".
pragma application_id = 0x716d7131;
pragma user_version = 1;
