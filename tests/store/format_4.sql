-- A database as a q of format 4 left it, frozen: each later q has to open it.
-- One queue, whose messages have each an option: a priority, a delay, a dedup_id, a fair key, a
-- group, a ttl. Two of them are on lease; one has left, and its row is still there. A group is
-- paused, there is a schedule, and the machine's clock was set forward by seven seconds.

create table queue (
    number        integer primary key,
    id            text    not null,
    name          text    not null,
    message_limit integer not null,
    created_ns    integer not null,
    tags          text    not null,
    settings      text    not null default '{}'
) strict;

create table message (
    seq      integer primary key,
    queue    integer not null,
    envelope blob    not null
) strict;

create table lease (
    first_seq integer primary key,
    until_ns  integer not null,
    leased_ns integer not null,
    consumer  text    not null,
    seqs      blob    not null
) strict;

create table delivery (
    seq        integer primary key,
    fence      integer not null,
    count      integer not null,
    state      integer not null,
    until_ns   integer not null,
    leased_ns  integer not null,
    consumer   text    not null,
    attempts   text    not null,
    redrive_id text    not null,
    priority   integer not null default 0,
    expires_ns integer not null default 0,
    group_id   text    not null default '',
    fair_key   text    not null default ''
) strict;

create table redrive (
    number integer primary key,
    id     text not null unique,
    job    text not null
) strict;

create table sequence (
    last integer not null
) strict;

create table schedule (
    number   integer primary key,
    id       text not null unique,
    schedule text not null
) strict;

create table held_group (
    queue     integer not null,
    group_id  text    not null,
    paused_ns integer not null,
    parked_ns integer not null,
    primary key (queue, group_id)
) strict, without rowid;

create table dedup (
    seq        integer primary key,
    queue      integer not null,
    dedup_id   text    not null,
    meta       blob    not null,
    expires_ns integer not null
) strict;

create table clock (
    id        integer primary key check (id = 1),
    offset_ns integer not null
) strict;

create table gone (
    number integer primary key,
    seqs   blob not null
) strict;

insert into queue values
    (1, 'b9f431f0-0ba4-41e6-b641-891fae687bbf', 'jobs', -1, 1700000000000000000, '[]', '{"lease_duration_ns": 30000000000, "delivery_count_max": 0, "dead_letter_queue_id": "", "back_off": {"base_ns": 1000000000, "factor": 2.0, "max_ns": 300000000000, "jitter": 0.2}, "durability_min": 1, "ttl_ns": 3600000000000, "dedup_window_ns": 600000000000}');

insert into message values
    (1700000000000000000, 1, x'0a2e0a2430336439643630312d663634372d343334622d626335302d37663565303365303830623012060880e2cfaa061205706c61696e'),
    (1700000001000000000, 1, x'0a2e0a2438643736346630362d356233322d346265652d386635352d64373961393565613963336212060881e2cfaa061206757267656e742a022807'),
    (1700000002000000000, 1, x'0a2e0a2464316565663264622d333962632d343232342d623562302d64653266396437653363373412060882e2cfaa0612056c617465722a08120608bee2cfaa06'),
    (1700000003000000000, 1, x'0a2e0a2461306138633531632d613839632d343837612d623264392d32643538643837303164623512060883e2cfaa0612046f6e63652a0732056b6e6f776e'),
    (1700000004000000000, 1, x'0a2e0a2463653433386366352d356561312d346134322d383730332d35323231346164343236303712060884e2cfaa061203616e6e2a054203616e6e'),
    (1700000005000000000, 1, x'0a2e0a2436656365366466372d356535632d343733352d383063302d62623563336436636333353512060885e2cfaa06120767726f757065642a033a0167'),
    (1700000006000000000, 1, x'0a2e0a2437356364326537392d313330322d346566352d393165652d65393461393935666464346212060886e2cfaa0612046c656674'),
    (1700000007000000000, 1, x'0a2e0a2436303862653765662d373437662d346665302d613232652d34396635623963663965386412060887e2cfaa06120573686f72742a08220608a5e2cfaa06');

insert into lease values
    (1700000001000000000, 1700000038000000000, 1700000008000000000, '', x'00cac471fe9c971700289524ff9c9717');

insert into delivery values
    (1700000001000000000, 0, 0, 0, 0, 0, '', '', '', 7, 0, '', ''),
    (1700000002000000000, 0, 0, 2, 1700000062000000000, 0, '', '', '', 0, 0, '', ''),
    (1700000004000000000, 0, 0, 0, 0, 0, '', '', '', 0, 0, '', 'ann'),
    (1700000005000000000, 0, 0, 0, 0, 0, '', '', '', 0, 0, 'g', ''),
    (1700000007000000000, 0, 0, 0, 0, 0, '', '', '', 0, 1700000037000000000, '', '');

insert into sequence values
    (0);

insert into schedule values
    (1, 'b9f431f0-0ba4-41e6-b641-891fae687bbf/tick', '{"queue_id": "b9f431f0-0ba4-41e6-b641-891fae687bbf", "name": "tick", "plan": {"cron": "* * * * *", "interval_ns": 0, "time_zone": "UTC", "tags": "", "payload": "bWludXRl", "options": {"delay_ns": null, "available_ns": null, "ttl_ns": null, "expires_ns": null, "priority": 0, "dedup_id": "", "group_id": "", "fair_key": ""}, "missed": 2, "paused": false}, "created_ns": 1700000008000000000, "anchor_ns": 1700000008000000000, "after_ns": 1700000008000000000, "last_ns": 0, "owed": 0, "added": 0, "missed": 0, "refused": 0, "deduplicated": 0, "obstacle": ""}');

insert into held_group values
    (1, 'h', 1700000008000000000, 0);

insert into dedup values
    (1700000003000000000, 1, 'known', x'0a2e0a2461306138633531632d613839632d343837612d623264392d32643538643837303164623512060883e2cfaa06', 1700000603000000000);

insert into clock values
    (1, -7000000000);

insert into gone values
    (1, x'00002a36fe9c9717');

-- "qmq1".
pragma application_id = 0x716d7131;
pragma user_version = 4;
