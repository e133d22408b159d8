-- A database as a q of format 2 left it, frozen: each later q has to open it.
-- Four queues: "jobs" with a dead-letter queue and settings of its own, which has messages
-- in all states; "failed", the dead-letter queue, paused; "idle", paused and purged, of whose
-- messages some rows are left; and one that was made in format 1. Rows are also left of a
-- queue that had been deleted. Moments are nanoseconds since the Unix epoch.

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
    redrive_id text    not null
) strict;

create table redrive (
    number integer primary key,
    id     text not null unique,
    job    text not null
) strict;

create table sequence (
    last integer not null
) strict;

insert into queue values
    (1, '9cdf1087-24d5-4a2b-bb94-809133a9cb2d', 'failed', -1, 1799000000000000000, '[]',
     '{"lease_duration_ns": 30000000000, "delivery_count_max": 0, "dead_letter_queue_id": "", "back_off": {"base_ns": 1000000000, "factor": 2.0, "max_ns": 300000000000, "jitter": 0.2}, "durability_min": 1, "pause": {"since_ns": 1799000050000000000, "adds": false}}'),
    (2, 'a0d0fe65-bb8c-46cc-8d4a-92314ac3728b', 'jobs', 100, 1799000001000000000, '[["b", "1"], ["a", "\"世\""]]',
     '{"lease_duration_ns": 60000000000, "delivery_count_max": 2, "dead_letter_queue_id": "9cdf1087-24d5-4a2b-bb94-809133a9cb2d", "back_off": {"base_ns": 2000000000, "factor": 1.5, "max_ns": 600000000000, "jitter": 0.1}, "durability_min": 2}'),
    (3, '91d38797-e4f1-4e9b-a622-7f2581a909dc', 'idle', -1, 1799000002000000000, '[]',
     '{"lease_duration_ns": 30000000000, "delivery_count_max": 0, "dead_letter_queue_id": "", "back_off": {"base_ns": 1000000000, "factor": 2.0, "max_ns": 300000000000, "jitter": 0.2}, "durability_min": 1, "purged_seq": 1799000022000000000, "pause": {"since_ns": 1799000023000000000, "adds": true}}'),
    (5, '41dfd4d0-10c1-40fb-add4-aabfe1d0e320', '', -1, 1798999900000000000, '[]',
     '{}');

insert into message values
    -- Of the queue that was kept in format 1.
    (1798999950000000000, 5, x'0a2e0a2462373565326631642d363939662d346263632d383735302d6164663835336536656235301206088e9fead90612036f6c64'),
    -- In jobs: was released.
    (1799000010000000000, 2, x'0a2e0a2439353532383133652d356433632d343238342d626430632d646664373933336536373138120608ca9fead906120872656c6561736564'),
    -- In jobs: its lease ends at 1799000025.
    (1799000011000000000, 2, x'0a2e0a2433356438383466642d653166372d343733342d613962382d396432616161366266303137120608cb9fead906120765787069726564'),
    -- In jobs: on lease.
    (1799000012000000000, 2, x'0a2e0a2464366433326135372d366235322d343930322d623065312d613337346531376466303931120608cc9fead90612066c6561736564'),
    -- In jobs: kept back.
    (1799000013000000000, 2, x'0a2e0a2433643466636537662d333866312d346163332d393338382d333031646634326233666135120608cd9fead906120764656c61796564'),
    -- In jobs: never handed out.
    (1799000014000000000, 2, x'0a2e0a2465376131333361622d663961612d343333372d623835322d666265333738346636326134120608ce9fead90612056672657368'),
    -- In idle: purged, one of them while it was on lease.
    (1799000020000000000, 3, x'0a2e0a2463306137326233362d636162622d343465662d383733372d646465656535663565623430120608d49fead9061206707572676564'),
    (1799000022000000000, 3, x'0a2e0a2431323565376532612d323762312d343539652d393064322d393531373434323437366233120608d69fead9061206707572676564'),
    -- In idle: came after the purge.
    (1799000022000000001, 3, x'0a300a2463636333333431362d373035372d346265662d613035612d383166633063333134316338120808d69fead906100112046c617465'),
    -- Of a queue that was deleted, one of them on lease.
    (1799000024000000000, 4, x'0a2e0a2430383131653532312d356338312d343839632d613638662d316563323133326131323530120608d89fead90612096c656674206f766572'),
    (1799000024000000001, 4, x'0a300a2431633734383234392d643537322d346161632d626165612d316365613532653533396134120808d89fead906100112096c656674206f766572'),
    -- In failed: dead letters, for each reason.
    (1799000030000000000, 1, x'0a2e0a2431653766623330372d396238372d346436372d613736302d373934333535666465303962120608c29fead906120872656a65637465641a46080112126e6f20737563682022637573746f6d6572221a2461306430666536352d626238632d343663632d386434612d393233313461633337323862220608de9fead9062801222a0a027731120608c39fead9061a0608c59fead90620032a126e6f20737563682022637573746f6d657222'),
    (1799000066000000000, 1, x'0a2e0a2435653731383834312d663161322d343634372d393263312d643838323961373632633136120608c29fead9061208776f726e206f75741a34080212001a2461306430666536352d626238632d343663632d386434612d39323331346163333732386222060882a0ead9062802221b0a027731120608c39fead9061a0608c59fead90620022a03e4b8962212120608c69fead9061a060882a0ead9062004'),
    -- In jobs: brought back by a redrive.
    (1799000070000000000, 2, x'0a2e0a2463366162336135322d623638382d343263302d613065662d626639653464363563643335120608c29fead9061208726564726976656e');

insert into lease values
    -- Of one that has left, of one that was released since and has a row of its own, and of
    -- one that is still on lease.
    (1799000009000000000, 1799003615000000000, 1799000015000000000, 'w1', x'009a5e07fa54f7180064f942fa54f71800f82ebafa54f718'),
    -- Of one of a queue that was deleted, and of one that has left.
    (1799000024000000000, 1799000054000000000, 1799000024000000000, 'w1', x'00707085fd54f718003a0bc1fd54f718');

insert into delivery values
    (1799000010000000000, 1, 0, 0, 0, 1799000015000000000, 'w1', '[[1, "w1", 1799000015000000000, 1799000016000000000, 1, ""]]', ''),
    (1799000011000000000, 1, 1, 1, 1799000025000000000, 1799000015000000000, 'w2', '', ''),
    (1799000013000000000, 1, 1, 2, 1799001817000000000, 1799000015000000000, 'w3', '[[1, "w3", 1799000015000000000, 1799000017000000000, 2, "busy"]]', ''),
    (1799000020000000000, 1, 1, 1, 1799000050000000000, 1799000020000000000, 'w1', '', ''),
    (1799000070000000000, 2, 0, 0, 0, 0, '', '[[1, "w1", 1799000003000000000, 1799000005000000000, 2, "世"], [2, "", 1799000006000000000, 1799000066000000000, 4, ""]]', '0d10522f-637f-4bb2-a369-6d3008ed2c91');

insert into redrive values
    (1, '88eca96a-63e5-4eab-a60d-4abe08af2464',
     '{"id": "88eca96a-63e5-4eab-a60d-4abe08af2464", "request": {"queue_id": "9cdf1087-24d5-4a2b-bb94-809133a9cb2d", "target_queue_id": "a0d0fe65-bb8c-46cc-8d4a-92314ac3728b", "tags": [{"key": "k", "value": "v"}], "reasons": [1], "text": "customer", "age_min_ns": 1000000000, "age_max_ns": 100000000000, "dry_run": false, "messages_per_second": 0.0, "messages_max": 5, "failed_again_max": 0.5}, "store": 2, "started_ns": 1799000067000000000, "first_seq": 1799000000000000000, "last_seq": 1799000067000000000, "total": 2, "seen": 2, "matched": 0, "moved": 0, "stayed": 0, "failed_again": 0, "state": 2, "ended_ns": 1799000068000000000, "obstacle": "", "gone_queue_id": ""}'),
    (2, '0d10522f-637f-4bb2-a369-6d3008ed2c91',
     '{"id": "0d10522f-637f-4bb2-a369-6d3008ed2c91", "request": {"queue_id": "9cdf1087-24d5-4a2b-bb94-809133a9cb2d", "target_queue_id": "", "tags": [], "reasons": [], "text": "", "age_min_ns": 0, "age_max_ns": null, "dry_run": false, "messages_per_second": 0.5, "messages_max": 0, "failed_again_max": 0.5}, "store": 2, "started_ns": 1799000069000000000, "first_seq": 1799000066000000000, "last_seq": 1799000069000000000, "total": 3, "seen": 1, "matched": 1, "moved": 1, "stayed": 0, "failed_again": 0, "state": 1, "ended_ns": 0, "obstacle": "", "gone_queue_id": ""}');

-- Of a message that had left.
insert into sequence values (1799000071000000000);

-- "qmq1".
pragma application_id = 0x716d7131;
pragma user_version = 2;
