-- The tables in ClickHouse. A message, or a campaign, may have several rows for a while: the one of the greatest rank counts
-- (FINAL, or the views below). Times are UTC; numbers are masked; what the columns mean stands in docs/exports.md too.

CREATE DATABASE IF NOT EXISTS sendledger;

CREATE TABLE IF NOT EXISTS sendledger.messages
(
    `message_id` String COMMENT 'The message''s id; one row each',
    `campaign_id` LowCardinality(String) COMMENT 'Its campaign',
    `to` String COMMENT 'The number: its last three digits, `***888`; whole only where an export asked for it',
    `bucket` LowCardinality(String) COMMENT 'What became of it: the one bucket that it is in',
    `final` Bool COMMENT 'Whether a final receipt or answer has settled it',
    `conflicted` Bool COMMENT 'Whether two different final receipts came; the policy says which one counts',
    `detail` LowCardinality(Nullable(String)) COMMENT 'Why it was not delivered, as the receipt says: failed, expired, tp_0x46, …',
    `error_code` LowCardinality(Nullable(String)) COMMENT 'The provider''s ERRORCODE of a rejected message',
    `doubt_reason` LowCardinality(Nullable(String)) COMMENT 'Why it is in doubt: timeout, reset, http_5xx, unreadable, crash',
    `doubt_since` Nullable(DateTime64(6, 'UTC')) COMMENT 'Since when it is in doubt',
    `open_since` Nullable(DateTime64(6, 'UTC')) COMMENT 'Of accepted or sent: when its call began; it waits for a receipt',
    `tracking_id` Nullable(String) COMMENT 'The provider''s TRACKINGID',
    `history_id` Nullable(String) COMMENT 'The provider''s HISTORYID, of the first postback that names one',
    `operator_id` LowCardinality(Nullable(String)) COMMENT 'The carrier, as the first postback names it, else as the request did',
    `attempts` UInt64 COMMENT 'Calls to the provider that were begun for it',
    `requested_at` DateTime64(6, 'UTC') COMMENT 'When it was asked for',
    `attempted_at` Nullable(DateTime64(6, 'UTC')) COMMENT 'When its first call began',
    `responded_at` Nullable(DateTime64(6, 'UTC')) COMMENT 'When the provider answered',
    `sent_at` Nullable(DateTime64(6, 'UTC')) COMMENT 'When the carrier had it, by the provider''s clock',
    `settled_at` Nullable(DateTime64(6, 'UTC')) COMMENT 'When the receipt that counts says it was settled',
    `recipient_id` String COMMENT 'The number''s keyed hash: the same for all messages to one number',
    `version` UInt64 COMMENT 'How complete the row is: of two rows of a message the greater holds',
    `fold_version` UInt64 COMMENT 'Of the code that folded it; decides between two rows of one version',
    `day` Date COMMENT 'The day of requested_at in UTC: the folder of an export',
    `rank` UInt64 DEFAULT version * 1000 + least(fold_version, 999) COMMENT 'version, then fold_version: the greater row holds'
)
ENGINE = ReplacingMergeTree(rank)
PARTITION BY toYYYYMM(requested_at)
ORDER BY (campaign_id, message_id)
COMMENT 'One message: what became of it, under the policy that was asked for.';

CREATE TABLE IF NOT EXISTS sendledger.campaigns
(
    `campaign_id` LowCardinality(String) COMMENT 'The campaign''s id; one row each',
    `as_of` DateTime64(6, 'UTC') COMMENT 'When these numbers were published',
    `requested` UInt64 COMMENT 'Messages that were asked for: the sum of the eleven buckets that follow',
    `queued` UInt64 COMMENT 'Messages that wait for their turn',
    `attempting` UInt64 COMMENT 'Messages whose call is under way',
    `in_doubt` UInt64 COMMENT 'Messages whose call got no usable answer: perhaps sent, perhaps not',
    `cancelled` UInt64 COMMENT 'Messages that were withheld because the campaign was cancelled',
    `expired` UInt64 COMMENT 'Messages that were withheld because their time was over',
    `suppressed` UInt64 COMMENT 'Messages that were withheld because the recipient wants none',
    `rejected` UInt64 COMMENT 'Messages that the provider refused',
    `accepted` UInt64 COMMENT 'Messages that the provider has, without any postback yet',
    `sent` UInt64 COMMENT 'Messages that the carrier has, without a final receipt yet',
    `delivered` UInt64 COMMENT 'Messages that are on the handset, by their receipt',
    `undelivered` UInt64 COMMENT 'Messages that never will be, by their receipt',
    `accepted_ever` UInt64 COMMENT 'Messages that the provider ever accepted, whatever came then',
    `carrier` UInt64 COMMENT 'Messages of which a sent or a final receipt was ever seen: the denominator of delivery',
    `receipt` UInt64 COMMENT 'Messages with a final receipt',
    `conflicted` UInt64 COMMENT 'Messages with two different final receipts',
    `duplicates` UInt64 COMMENT 'Postbacks that came again',
    `late` UInt64 COMMENT 'Final receipts that came more than 72 h after the sending',
    `orphans` UInt64 COMMENT 'Postbacks to its recipients that belong to no known message',
    `acceptance` Nullable(Float64) COMMENT 'accepted_ever / (accepted_ever + rejected)',
    `delivery_confirmed` Nullable(Float64) COMMENT 'delivered / carrier',
    `delivery_resolved` Nullable(Float64) COMMENT 'delivered / (delivered + undelivered)',
    `receipt_coverage` Nullable(Float64) COMMENT 'receipt / carrier',
    `archived` Bool COMMENT 'Whether retention cut its log: the numbers stand, and move no more',
    `version` UInt64 COMMENT 'How complete the row is: of two rows of a campaign the greater holds',
    `fold_version` UInt64 COMMENT 'Of the code that folded it; decides between two rows of one version',
    `rank` UInt64 DEFAULT version * 1000 + least(fold_version, 999) COMMENT 'version, then fold_version: the greater row holds'
)
ENGINE = ReplacingMergeTree(rank)
ORDER BY campaign_id
COMMENT 'One campaign in numbers, each message counted in exactly one bucket.';

-- What depends on when it is read: a message is unknown from the first full hour that begins 72 hours after its own.
CREATE VIEW IF NOT EXISTS sendledger.current_messages AS
SELECT *, ifNull(toStartOfHour(open_since) + INTERVAL 73 HOUR <= now('UTC'), false) AS unknown
FROM sendledger.messages FINAL;

CREATE VIEW IF NOT EXISTS sendledger.current_campaigns AS
SELECT c.*, toUInt64(m.unknown) AS unknown
FROM (SELECT * FROM sendledger.campaigns FINAL) AS c
LEFT JOIN (SELECT campaign_id, countIf(unknown) AS unknown FROM sendledger.current_messages GROUP BY campaign_id) AS m
    ON m.campaign_id = c.campaign_id;
