-- Ready-made answers to the common questions, over `events` and the tables `dim_*`. Written for DuckDB, plain SQL where
-- that is possible. They count as docs/COUNTING.md says and as the reports do: copies are left out, what is inbound is
-- not sent, a delivery is one try for one recipient.

-- Every event that counts, with the words that the questions are asked in. Times are UTC.
CREATE OR REPLACE VIEW counted AS
SELECT
    *,
    make_timestamp(epoch_us(time)) AS time_utc,
    CAST(make_timestamp(epoch_us(time)) AS DATE) AS date,
    coalesce(direction, '') <> 'inbound' AS sent,
    coalesce(action IN ('delivered', 'deferred', 'bounced', 'expired', 'rejected'), false) AS tried,
    coalesce(action IN ('deferred', 'bounced', 'expired', 'rejected'), false) AS failed
FROM events
WHERE NOT coalesce(copy, false);

-- All in one row.
CREATE OR REPLACE VIEW summary AS
SELECT
    count(*) AS events,
    count(*) FILTER (WHERE sent AND tried) AS deliveries,
    count(*) FILTER (WHERE sent AND failed) AS failures,
    count(*) FILTER (WHERE NOT sent AND failed) AS refusals,
    count(DISTINCT (host, queue_id)) FILTER (WHERE sent AND tried AND queue_id IS NOT NULL) AS messages,
    count(DISTINCT (host, queue_id, recipient)) FILTER (WHERE sent AND tried AND queue_id IS NOT NULL) AS recipients,
    min(time_utc) AS since,
    max(time_utc) AS last
FROM counted;

-- Why is our mail refused, and who has to act?
CREATE OR REPLACE VIEW failures_by_cause AS
SELECT
    counted.cause,
    count(*) AS failures,
    count(*) / sum(count(*)) OVER () AS share,
    any_value(dim_cause.cause_group) AS cause_group,
    any_value(dim_cause.actor) AS actor,
    any_value(dim_cause.meaning_en) AS meaning_en,
    min(time_utc) AS since,
    max(time_utc) AS last
FROM counted LEFT JOIN dim_cause ON dim_cause.cause = counted.cause
WHERE sent AND failed
GROUP BY counted.cause
ORDER BY failures DESC, counted.cause;

-- With which codes?
CREATE OR REPLACE VIEW failures_by_code AS
SELECT
    counted.code,
    counted.enhanced,
    count(*) AS failures,
    any_value(dim_code.name_en) AS name_en,
    any_value(dim_enhanced.meaning_en) AS meaning_en,
    min(time_utc) AS since,
    max(time_utc) AS last
FROM counted
LEFT JOIN dim_code ON dim_code.code = counted.code
LEFT JOIN dim_enhanced ON dim_enhanced.enhanced = counted.enhanced
WHERE sent AND failed
GROUP BY counted.code, counted.enhanced
ORDER BY failures DESC, counted.code, counted.enhanced;

-- Which domain answers with which code?
CREATE OR REPLACE VIEW failures_by_domain_and_code AS
SELECT recipient_domain, code, enhanced, count(*) AS failures, min(time_utc) AS since, max(time_utc) AS last
FROM counted
WHERE sent AND failed
GROUP BY recipient_domain, code, enhanced
ORDER BY failures DESC, recipient_domain, code, enhanced;

-- How does it go with each domain?
CREATE OR REPLACE VIEW deliveries_by_domain AS
SELECT
    recipient_domain,
    count(*) AS deliveries,
    count(*) FILTER (WHERE failed) AS failures,
    count(*) FILTER (WHERE failed) / count(*) AS rate,
    count(*) FILTER (WHERE action = 'deferred') AS deferred,
    count(*) FILTER (WHERE action = 'bounced') AS bounced,
    count(*) FILTER (WHERE action = 'expired') AS expired,
    count(*) FILTER (WHERE action = 'rejected') AS rejected,
    min(time_utc) FILTER (WHERE failed) AS since,
    max(time_utc) FILTER (WHERE failed) AS last
FROM counted
WHERE sent AND tried
GROUP BY recipient_domain
ORDER BY failures DESC, recipient_domain;

-- And with each provider, as far as host names tell whose a server is?
CREATE OR REPLACE VIEW deliveries_by_provider AS
SELECT
    counted.provider,
    any_value(dim_provider.title) AS title,
    count(*) AS deliveries,
    count(*) FILTER (WHERE failed) AS failures,
    count(*) FILTER (WHERE failed) / count(*) AS rate,
    count(*) FILTER (WHERE action = 'deferred') AS deferred,
    count(*) FILTER (WHERE action = 'bounced') AS bounced,
    count(*) FILTER (WHERE action = 'expired') AS expired,
    count(*) FILTER (WHERE action = 'rejected') AS rejected,
    min(time_utc) FILTER (WHERE failed) AS since,
    max(time_utc) FILTER (WHERE failed) AS last
FROM counted LEFT JOIN dim_provider ON dim_provider.provider = counted.provider
WHERE sent AND tried AND counted.provider IS NOT NULL
GROUP BY counted.provider
ORDER BY failures DESC, counted.provider;

-- Since when, and is it getting worse?
CREATE OR REPLACE VIEW deliveries_by_hour AS
SELECT
    date_trunc('hour', time_utc) AS hour,
    count(*) FILTER (WHERE sent AND tried) AS deliveries,
    count(*) FILTER (WHERE sent AND failed) AS failures,
    count(*) FILTER (WHERE sent AND failed AND code_class = '4xx') AS failed_4xx,
    count(*) FILTER (WHERE sent AND failed AND code_class = '5xx') AS failed_5xx,
    count(*) FILTER (WHERE sent AND failed AND coalesce(code_class, '') NOT IN ('4xx', '5xx')) AS failed_other,
    count(*) FILTER (WHERE NOT sent AND failed) AS refused
FROM counted
GROUP BY date_trunc('hour', time_utc)
ORDER BY hour;

-- Every day from the first to the last, those without mail too.
CREATE OR REPLACE VIEW deliveries_by_day AS
SELECT
    dim_date.date,
    count(*) FILTER (WHERE sent AND tried) AS deliveries,
    count(*) FILTER (WHERE sent AND failed) AS failures,
    count(*) FILTER (WHERE sent AND failed) / nullif(count(*) FILTER (WHERE sent AND tried), 0) AS rate,
    count(*) FILTER (WHERE sent AND failed AND code_class = '4xx') AS failed_4xx,
    count(*) FILTER (WHERE sent AND failed AND code_class = '5xx') AS failed_5xx,
    count(*) FILTER (WHERE sent AND failed AND coalesce(code_class, '') NOT IN ('4xx', '5xx')) AS failed_other,
    count(*) FILTER (WHERE NOT sent AND failed) AS refused
FROM dim_date LEFT JOIN counted ON counted.date = dim_date.date
GROUP BY dim_date.date
ORDER BY dim_date.date;

-- What do we refuse to others?
CREATE OR REPLACE VIEW refusals_by_cause AS
SELECT
    counted.cause,
    counted.code,
    counted.enhanced,
    count(*) AS refusals,
    any_value(dim_cause.meaning_en) AS meaning_en,
    min(time_utc) AS since,
    max(time_utc) AS last
FROM counted LEFT JOIN dim_cause ON dim_cause.cause = counted.cause
WHERE NOT sent AND failed
GROUP BY counted.cause, counted.code, counted.enhanced
ORDER BY refusals DESC, counted.cause, counted.code, counted.enhanced;

-- And which clients most?
CREATE OR REPLACE VIEW refusals_by_client AS
SELECT remote_ip, count(*) AS refusals, min(time_utc) AS since, max(time_utc) AS last
FROM counted
WHERE NOT sent AND failed
GROUP BY remote_ip
ORDER BY refusals DESC, remote_ip;
