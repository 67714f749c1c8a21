-- From Kafka into the tables of tables.sql: a queue that reads a topic, and a view that writes what it reads into the table.
-- Put in your brokers; for SASL or TLS see ClickHouse's configuration <kafka>. A new group reads a topic from its beginning with
-- <auto_offset_reset>smallest</auto_offset_reset> there. What is read twice, or late, changes nothing: the rank decides.
-- A tombstone (nobody writes one on these topics by now) deletes nothing here.

CREATE TABLE IF NOT EXISTS sendledger.message_states (`record` String)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'kafka-1:9093,kafka-2:9093', -- yours
    kafka_topic_list = 'sms.message-state.v1',
    kafka_group_name = 'clickhouse-message-states',
    kafka_format = 'JSONAsString',
    kafka_num_consumers = 1,
    kafka_handle_error_mode = 'stream';

CREATE TABLE IF NOT EXISTS sendledger.campaign_states (`record` String)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'kafka-1:9093,kafka-2:9093', -- yours
    kafka_topic_list = 'sms.campaign-state.v1',
    kafka_group_name = 'clickhouse-campaign-states',
    kafka_format = 'JSONAsString',
    kafka_num_consumers = 1,
    kafka_handle_error_mode = 'stream';

CREATE MATERIALIZED VIEW IF NOT EXISTS sendledger.message_states_to_messages TO sendledger.messages AS
SELECT
    JSONExtractString(record, 'message_id') AS `message_id`,
    JSONExtractString(record, 'campaign_id') AS `campaign_id`,
    concat('***', JSONExtractString(record, 'to_last3')) AS `to`,
    JSONExtractString(record, 'bucket') AS `bucket`,
    JSONExtractBool(record, 'final') AS `final`,
    JSONExtractBool(record, 'conflicted') AS `conflicted`,
    JSONExtract(record, 'detail', 'Nullable(String)') AS `detail`,
    JSONExtract(record, 'error_code', 'Nullable(String)') AS `error_code`,
    JSONExtract(record, 'doubt_reason', 'Nullable(String)') AS `doubt_reason`,
    parseDateTime64BestEffortOrNull(JSONExtractString(record, 'doubt_since'), 6, 'UTC') AS `doubt_since`,
    parseDateTime64BestEffortOrNull(JSONExtractString(record, 'open_since'), 6, 'UTC') AS `open_since`,
    JSONExtract(record, 'tracking_id', 'Nullable(String)') AS `tracking_id`,
    JSONExtract(record, 'history_id', 'Nullable(String)') AS `history_id`,
    JSONExtract(record, 'operator_id', 'Nullable(String)') AS `operator_id`,
    JSONExtractUInt(record, 'attempts') AS `attempts`,
    parseDateTime64BestEffort(JSONExtractString(record, 'requested_at'), 6, 'UTC') AS `requested_at`,
    parseDateTime64BestEffortOrNull(JSONExtractString(record, 'attempted_at'), 6, 'UTC') AS `attempted_at`,
    parseDateTime64BestEffortOrNull(JSONExtractString(record, 'responded_at'), 6, 'UTC') AS `responded_at`,
    parseDateTime64BestEffortOrNull(JSONExtractString(record, 'sent_at'), 6, 'UTC') AS `sent_at`,
    parseDateTime64BestEffortOrNull(JSONExtractString(record, 'settled_at'), 6, 'UTC') AS `settled_at`,
    JSONExtractString(record, 'recipient_id') AS `recipient_id`,
    JSONExtractUInt(record, 'version') AS `version`,
    JSONExtractUInt(record, 'fold_version') AS `fold_version`,
    toDate(requested_at, 'UTC') AS `day`
FROM sendledger.message_states
WHERE _error = '' AND JSONHas(record, 'message_id') AND JSONHas(record, 'requested_at');

CREATE MATERIALIZED VIEW IF NOT EXISTS sendledger.campaign_states_to_campaigns TO sendledger.campaigns AS
WITH JSONExtract(record, 'counters', 'Map(String, Int64)') AS counters
SELECT
    JSONExtractString(record, 'campaign_id') AS `campaign_id`,
    parseDateTime64BestEffort(JSONExtractString(record, 'as_of'), 6, 'UTC') AS `as_of`,
    toUInt64(counters['requested']) AS `requested`,
    toUInt64(counters['b:queued']) AS `queued`,
    toUInt64(counters['b:attempting']) AS `attempting`,
    toUInt64(counters['b:in_doubt']) AS `in_doubt`,
    toUInt64(counters['b:cancelled']) AS `cancelled`,
    toUInt64(counters['b:expired']) AS `expired`,
    toUInt64(counters['b:suppressed']) AS `suppressed`,
    toUInt64(counters['b:rejected']) AS `rejected`,
    toUInt64(counters['b:accepted']) AS `accepted`,
    toUInt64(counters['b:sent']) AS `sent`,
    toUInt64(counters['b:delivered']) AS `delivered`,
    toUInt64(counters['b:undelivered']) AS `undelivered`,
    toUInt64(counters['accepted_ever']) AS `accepted_ever`,
    toUInt64(counters['carrier']) AS `carrier`,
    toUInt64(counters['receipt']) AS `receipt`,
    toUInt64(counters['conflicted']) AS `conflicted`,
    toUInt64(counters['repeat']) AS `duplicates`,
    toUInt64(counters['late']) AS `late`,
    JSONExtractUInt(record, 'orphans') AS `orphans`,
    if(accepted_ever + rejected = 0, NULL, accepted_ever / (accepted_ever + rejected)) AS `acceptance`,
    if(carrier = 0, NULL, delivered / carrier) AS `delivery_confirmed`,
    if(delivered + undelivered = 0, NULL, delivered / (delivered + undelivered)) AS `delivery_resolved`,
    if(carrier = 0, NULL, receipt / carrier) AS `receipt_coverage`,
    JSONExtractBool(record, 'archived') AS `archived`,
    JSONExtractUInt(record, 'version') AS `version`,
    JSONExtractUInt(record, 'fold_version') AS `fold_version`
FROM sendledger.campaign_states
WHERE _error = '' AND JSONHas(record, 'campaign_id') AND JSONExtractString(record, 'campaign_id') != '_none';
