-- A replay is a job: which events of a range one endpoint is to be sent once more, and how far it has come.
CREATE TABLE webhook_replays (
    id UUID NOT NULL,
    org_id UUID NOT NULL,
    client_id UUID NOT NULL,
    endpoint_id UUID NOT NULL,
    picks TEXT NOT NULL CONSTRAINT ck_webhook_replays_picks_known CHECK (picks IN ('all', 'failed', 'missed')),
    state TEXT DEFAULT 'running' NOT NULL CONSTRAINT ck_webhook_replays_state_known CHECK (state IN ('running', 'done', 'cancelled')),
    from_position BIGINT NOT NULL CONSTRAINT ck_webhook_replays_from_position_least CHECK (from_position >= 0),
    to_position BIGINT NOT NULL CONSTRAINT ck_webhook_replays_to_position_least CHECK (to_position >= 0),
    from_time TIMESTAMP WITH TIME ZONE,
    to_time TIMESTAMP WITH TIME ZONE,
    reached BIGINT NOT NULL CONSTRAINT ck_webhook_replays_reached_least CHECK (reached >= 0),
    queued INTEGER DEFAULT '0' NOT NULL CONSTRAINT ck_webhook_replays_queued_least CHECK (queued >= 0),
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    worked_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_webhook_replays PRIMARY KEY (id),
    CONSTRAINT fk_webhook_replays_org_id FOREIGN KEY(org_id) REFERENCES organisations (id)
);
CREATE INDEX ix_webhook_replays_org_id ON webhook_replays (org_id, id);
CREATE UNIQUE INDEX ix_webhook_replays_running ON webhook_replays (endpoint_id) WHERE state = 'running';

ALTER TABLE webhook_replays ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_replays FORCE ROW LEVEL SECURITY;
CREATE POLICY webhook_replays_owner ON webhook_replays TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY webhook_replays_read ON webhook_replays FOR SELECT TO tendays_app USING (org_id = (SELECT app.org()));
CREATE POLICY webhook_replays_insert ON webhook_replays FOR INSERT TO tendays_app WITH CHECK (org_id = (SELECT app.org()));
GRANT SELECT, INSERT ON webhook_replays TO tendays_app;
CREATE POLICY webhook_replays_worker ON webhook_replays TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE ON webhook_replays TO tendays_worker;

-- The position before the first event that was written at this moment or later; the newest if there is none.
CREATE FUNCTION app.position_before(p_at timestamptz) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT coalesce((SELECT v.position - 1 FROM events v WHERE v.id >= app.uuid7_floor(p_at) AND v.position IS NOT NULL
                    ORDER BY v.id LIMIT 1), (SELECT s.last FROM sequencer s))
$$;

-- One slice of one replay: up to p_most of the events its endpoint may see, looked through and given to it once more,
-- together with the progress, so that a kill repeats nothing and loses nothing. The job that waited longest comes first.
-- One whose endpoint has p_backlog due already waits: what happens now is not held behind what has been.
-- Answers how many deliveries were made; null when there is nothing to do.
CREATE FUNCTION app.replay_slice(p_most integer, p_backlog integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
  r webhook_replays%ROWTYPE; w webhook_endpoints%ROWTYPE;
  v_seen integer; v_upto bigint; v_events uuid[]; v_made integer := 0;
BEGIN
  SELECT x.* INTO r FROM webhook_replays x
   WHERE x.state = 'running'
     AND (SELECT count(*) FROM (SELECT 1 FROM deliveries d
            WHERE d.state = 'pending' AND d.due_at IS NOT NULL AND d.lane = 'normal' AND d.endpoint_id = x.endpoint_id
            LIMIT p_backlog) due) < p_backlog
   ORDER BY x.worked_at NULLS FIRST, x.id LIMIT 1 FOR UPDATE OF x SKIP LOCKED;
  IF NOT FOUND THEN RETURN NULL; END IF;
  SELECT e.* INTO w FROM webhook_endpoints e WHERE e.id = r.endpoint_id AND e.state <> 'off';
  IF NOT FOUND THEN
    UPDATE webhook_replays SET state = 'cancelled', ended_at = clock_timestamp(), worked_at = clock_timestamp() WHERE id = r.id;
    RETURN 0;
  END IF;
  WITH told AS MATERIALIZED (
    SELECT x.id, x.type, x.only_client_org, x.position, x.occurred_at
      FROM unnest(CASE WHEN w.school_id IS NULL THEN app.schools_of(w.org_id)
                       ELSE ARRAY[w.school_id] END || w.org_id) AS a (audience_id)
      CROSS JOIN LATERAL (
        SELECT v.id, v.type, v.only_client_org, v.position, v.occurred_at FROM events v
         WHERE v.audience_id = a.audience_id AND v.position > r.reached AND v.position <= r.to_position
         ORDER BY v.position LIMIT p_most) x
     WHERE app.may_see(w.org_id, a.audience_id)
     GROUP BY 1, 2, 3, 4, 5 ORDER BY x.position LIMIT p_most
  )
  SELECT count(*), max(t.position), array_agg(t.id) FILTER (
           WHERE app.takes_type(w.event_types, t.type) AND (t.only_client_org IS NULL OR t.only_client_org = w.org_id)
             AND (r.from_time IS NULL OR t.occurred_at >= r.from_time) AND (r.to_time IS NULL OR t.occurred_at < r.to_time)
             AND (r.picks = 'all' OR (
               NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = t.id AND d.endpoint_id = w.id
                              AND d.state IN ('delivered', 'pending'))
               AND (r.picks = 'missed' OR EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = t.id
                                                     AND d.endpoint_id = w.id AND d.state = 'failed')))))
    INTO v_seen, v_upto, v_events FROM told t;
  IF v_seen < p_most THEN v_upto := r.to_position; END IF;
  INSERT INTO deliveries (id, endpoint_id, org_id, event_id, event_type, order_key, sequence, position, lane, replay, due_at)
  SELECT app.uuid7(), w.id, w.org_id, v.id, v.type, v.order_key, v.sequence, v.position, 'normal', true, clock_timestamp()
    FROM events v WHERE v.id = ANY (v_events) ORDER BY v.position;
  GET DIAGNOSTICS v_made = ROW_COUNT;
  UPDATE webhook_replays
     SET reached = v_upto, queued = queued + v_made, worked_at = clock_timestamp(),
         state = CASE WHEN v_upto >= r.to_position THEN 'done' ELSE 'running' END,
         ended_at = CASE WHEN v_upto >= r.to_position THEN clock_timestamp() END
   WHERE id = r.id;
  IF v_made > 0 THEN PERFORM pg_notify('tendays_feed', ''); END IF;
  RETURN v_made;
END $$;

-- Few rows by their keys, whatever the statistics say (as the voice).
DO $$
DECLARE o text;
BEGIN
  FOREACH o IN ARRAY ARRAY['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'jit'] LOOP
    EXECUTE format('ALTER FUNCTION app.replay_slice(integer, integer) SET %s = off', o);
    EXECUTE format('ALTER FUNCTION app.position_before(timestamptz) SET %s = off', o);
  END LOOP;
END $$;

REVOKE ALL ON FUNCTION app.position_before(timestamptz), app.replay_slice(integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.position_before(timestamptz) TO tendays_app;
GRANT EXECUTE ON FUNCTION app.replay_slice(integer, integer) TO tendays_worker;
