-- What changed, told without loss. `updated_at` is the beginning of a transaction, which may commit long after a reader has
-- passed that moment. So each row carries `changed_seq`, taken from the sequence of the events in the statement that changes
-- the row, and `change_marks.settled` says up to which number every change has been committed or rolled back. Whoever sees
-- the mark in a snapshot sees in it every change up to the mark: the transactions had ended before the mark was written,
-- and a replica replays their commits before it.

-- `epoch` names this history of the data: it is another one after a restore, a failover or a copy of the database.
-- `pending` becomes `settled` when every transaction with a number below `pending_xid` has ended.
CREATE TABLE change_marks (
  one INTEGER NOT NULL CONSTRAINT ck_change_marks_single CHECK (one = 1),
  epoch TEXT NOT NULL CONSTRAINT ck_change_marks_epoch_length CHECK (length(epoch) <= 20),
  identity TEXT NOT NULL CONSTRAINT ck_change_marks_identity_length CHECK (length(identity) <= 200),
  settled BIGINT NOT NULL CONSTRAINT ck_change_marks_settled_least CHECK (settled >= 0),
  pending BIGINT,
  pending_xid BIGINT,
  settled_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT pk_change_marks PRIMARY KEY (one)
);

-- The mark of about every minute, for those who ask by time.
CREATE TABLE change_moments (
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  settled BIGINT NOT NULL CONSTRAINT ck_change_moments_settled_least CHECK (settled >= 0),
  CONSTRAINT pk_change_moments PRIMARY KEY (at)
);

ALTER TABLE change_marks ENABLE ROW LEVEL SECURITY;
ALTER TABLE change_marks FORCE ROW LEVEL SECURITY;
CREATE POLICY change_marks_owner ON change_marks TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY change_marks_read ON change_marks FOR SELECT TO tendays_app USING (true);
CREATE POLICY change_marks_worker ON change_marks FOR SELECT TO tendays_worker USING (true);
GRANT SELECT ON change_marks TO tendays_app, tendays_worker;
ALTER TABLE change_moments ENABLE ROW LEVEL SECURITY;
ALTER TABLE change_moments FORCE ROW LEVEL SECURITY;
CREATE POLICY change_moments_owner ON change_moments TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY change_moments_read ON change_moments FOR SELECT TO tendays_app USING (true);
CREATE POLICY change_moments_worker ON change_moments FOR SELECT TO tendays_worker USING (true);
GRANT SELECT ON change_moments TO tendays_app, tendays_worker;

-- What tells one history of the data from another: the cluster, its timeline (which a failover or a recovery to a point in
-- time changes), the database (which a copy changes) and this table (which a restore from a dump makes anew).
CREATE FUNCTION app.history_identity() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT concat_ws('.', s.system_identifier, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8), d.oid,
                   'public.change_marks'::regclass::oid)
    FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()
$$;

-- Milliseconds since 2020 in hexadecimal: a later history has another, and a greater, name.
CREATE FUNCTION app.new_epoch() RETURNS text LANGUAGE sql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT 'e' || to_hex(((extract(epoch FROM clock_timestamp()) - 1577836800) * 1000)::bigint)
$$;

INSERT INTO change_marks (one, epoch, identity, settled) VALUES (1, app.new_epoch(), app.history_identity(), 0);

-- Move the mark. Answers the mark, or NULL if another worker is at it. To be called in a transaction of its own.
CREATE FUNCTION app.settle_changes() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  m change_marks%ROWTYPE; v_identity text := app.history_identity(); v_newest bigint; v_own bigint; v_xmin bigint;
  v_was bigint;
BEGIN
  IF pg_current_xact_id_if_assigned() IS NOT NULL THEN
    RAISE EXCEPTION 'settle_changes needs a transaction that has written nothing' USING ERRCODE = '25001';
  END IF;
  IF NOT pg_try_advisory_xact_lock(7310008) THEN RETURN NULL; END IF;
  SELECT * INTO m FROM change_marks;
  -- Who changes a row has its transaction's number before it takes a `changed_seq`. So every transaction with a
  -- `changed_seq` up to v_newest has a lower number than ours, which is assigned after v_newest was read.
  SELECT last_value INTO v_newest FROM events_seq;
  IF m.identity = v_identity AND m.pending IS NULL AND m.settled = v_newest THEN RETURN m.settled; END IF;
  IF m.identity <> v_identity THEN  -- another history; its numbers go on above every one that was told before
    PERFORM setval('events_seq', greatest(v_newest, m.settled) + 1);
    UPDATE change_marks SET epoch = app.new_epoch(), identity = v_identity, pending = NULL, pending_xid = NULL;
    RETURN m.settled;
  END IF;
  v_was := m.settled;
  v_own := pg_current_xact_id()::text::bigint;
  v_xmin := pg_snapshot_xmin(pg_current_snapshot())::text::bigint;
  IF v_xmin >= v_own THEN  -- no other transaction of before is open
    m.settled := v_newest; m.pending := NULL; m.pending_xid := NULL;
  ELSE
    IF m.pending IS NOT NULL AND m.pending_xid <= v_xmin THEN
      m.settled := m.pending; m.pending := NULL;
    END IF;
    IF m.pending IS NULL AND m.settled < v_newest THEN
      m.pending := v_newest; m.pending_xid := v_own;
    END IF;
  END IF;
  UPDATE change_marks SET settled = m.settled, pending = m.pending, pending_xid = m.pending_xid,
         settled_at = clock_timestamp();
  -- Each moment is earlier than whatever changes after its mark; one in a minute is enough.
  IF m.settled > v_was AND NOT EXISTS (
       SELECT 1 FROM change_moments WHERE at > clock_timestamp() - interval '1 minute' AND at <= clock_timestamp()) THEN
    INSERT INTO change_moments (at, settled) VALUES (clock_timestamp(), m.settled) ON CONFLICT (at) DO NOTHING;
    DELETE FROM change_moments WHERE at < clock_timestamp() - interval '400 days';
  END IF;
  RETURN m.settled;
END $$;

-- The number of a change, before the row is written.
CREATE FUNCTION app.number_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM pg_current_xact_id();  -- see settle_changes: before the number is taken
  NEW.changed_seq := nextval('public.events_seq');
  RETURN NEW;
END $$;

DO $$
DECLARE t text; c text;
BEGIN
  FOREACH t IN ARRAY ARRAY['enrolments', 'bookings', 'encounters', 'offers', 'slots', 'sites', 'contacts', 'covers',
                           'approvals', 'suspensions', 'organisations', 'memberships', 'agreements', 'grants', 'no_shows'] LOOP
    EXECUTE format('ALTER TABLE %I ADD COLUMN changed_seq BIGINT DEFAULT ''0'' NOT NULL', t);
    EXECUTE format('CREATE TRIGGER %I BEFORE INSERT OR UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION app.number_change()',
                   t || '_numbered', t);
  END LOOP;
  FOREACH t IN ARRAY ARRAY['offers', 'slots', 'sites', 'contacts', 'covers', 'approvals', 'organisations', 'memberships',
                           'agreements', 'grants'] LOOP
    EXECUTE format('CREATE INDEX %I ON %I (changed_seq, id)', 'ix_' || t || '_changed_seq', t);
  END LOOP;
  FOR t, c IN VALUES ('enrolments', 'school_id'), ('bookings', 'school_id'), ('bookings', 'employer_id'),
                     ('encounters', 'school_id'), ('offers', 'employer_id'), ('slots', 'employer_id'),
                     ('sites', 'employer_id'), ('contacts', 'employer_id'), ('covers', 'employer_id'),
                     ('approvals', 'approver_id'), ('suspensions', 'suspended_by'), ('no_shows', 'school_id'),
                     ('no_shows', 'employer_id') LOOP
    EXECUTE format('CREATE INDEX %I ON %I (%I, changed_seq, id)', 'ix_' || t || '_changed_' || c, t, c);
  END LOOP;
END $$;

-- What is shown of a row and kept beside it: its change is a change of the row. One that this transaction has changed
-- already is left alone. Arguments: the table, its key, the column beside it that names the key.
CREATE FUNCTION app.number_owner() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  EXECUTE format('UPDATE public.%1$I o SET changed_seq = o.changed_seq'
                 ' WHERE o.id = ANY (ARRAY(SELECT DISTINCT %2$I FROM changed_rows))'
                 ' AND o.xmin <> pg_current_xact_id()::xid', TG_ARGV[0], TG_ARGV[1]);
  RETURN NULL;
END $$;

DO $$
DECLARE t text; o text; c text;
BEGIN
  FOR t, o, c IN VALUES ('nc_years', 'enrolments', 'enrolment_id'), ('characteristics', 'enrolments', 'enrolment_id'),
                        ('pupil_refs', 'enrolments', 'enrolment_id'), ('sittings', 'slots', 'slot_id'),
                        ('offer_audiences', 'offers', 'offer_id') LOOP
    EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON %I REFERENCING NEW TABLE AS changed_rows'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION app.number_owner(%L, %L)', t || '_numbered_new', t, o, c);
    EXECUTE format('CREATE TRIGGER %I AFTER UPDATE ON %I REFERENCING NEW TABLE AS changed_rows'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION app.number_owner(%L, %L)', t || '_numbered_changed', t, o, c);
    EXECUTE format('CREATE TRIGGER %I AFTER DELETE ON %I REFERENCING OLD TABLE AS changed_rows'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION app.number_owner(%L, %L)', t || '_numbered_gone', t, o, c);
  END LOOP;
END $$;

-- As before, but the number of the change is no change of what is searched.
CREATE OR REPLACE FUNCTION app.slot_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - ARRAY['taken', 'changed_seq'] = to_jsonb(OLD) - ARRAY['taken', 'changed_seq'] THEN
    UPDATE open_slots SET places_left = NEW.capacity - NEW.taken
     WHERE slot_id = NEW.id AND places_left <> NEW.capacity - NEW.taken;
  ELSE
    PERFORM app.show_slot(NEW.id);
  END IF;
  RETURN NULL;
END $$;

REVOKE ALL ON FUNCTION app.history_identity(), app.new_epoch(), app.settle_changes(), app.number_change(), app.number_owner(),
  app.slot_changed() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.settle_changes() TO tendays_worker;
