-- Programmes are run: the history of every change, what ends without being lost, and what their owners may ask.

CREATE TABLE programme_changes (
    id UUID NOT NULL,
    programme_id UUID NOT NULL,
    owner_id UUID NOT NULL,
    school_id UUID,
    part TEXT NOT NULL CONSTRAINT ck_programme_changes_part_known CHECK (part IN ('programme', 'strand', 'school', 'target', 'allocation', 'cost')),
    part_id UUID NOT NULL,
    change TEXT NOT NULL CONSTRAINT ck_programme_changes_change_known CHECK (change IN ('added', 'changed', 'removed')),
    now JSONB NOT NULL,
    client_id UUID,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_programme_changes PRIMARY KEY (id),
    CONSTRAINT fk_programme_changes_programme_id FOREIGN KEY(programme_id) REFERENCES programmes (id),
    CONSTRAINT fk_programme_changes_owner_id FOREIGN KEY(owner_id) REFERENCES organisations (id)
);

CREATE INDEX ix_programme_changes_programme_id ON programme_changes (programme_id, id);
CREATE INDEX ix_programme_changes_part_id ON programme_changes (part_id, id);

ALTER TABLE programme_changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE programme_changes FORCE ROW LEVEL SECURITY;
CREATE POLICY programme_changes_owner ON programme_changes TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY programme_changes_read ON programme_changes FOR SELECT TO tendays_app USING (owner_id = (SELECT app.org()) OR school_id = ANY ((SELECT app.schools())::uuid[]));
GRANT SELECT ON programme_changes TO tendays_app;
CREATE POLICY programme_changes_worker ON programme_changes TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT ON programme_changes TO tendays_worker;

-- What ends is kept, with when; what is unique is unique among what has not ended.
ALTER TABLE strands DROP CONSTRAINT uq_strands_code;
CREATE UNIQUE INDEX uq_strands_code ON strands (programme_id, code) WHERE removed_at IS NULL;

ALTER TABLE programme_schools DROP CONSTRAINT uq_programme_schools_strand;
CREATE UNIQUE INDEX uq_programme_schools_strand ON programme_schools (programme_id, strand_id, school_id) NULLS NOT DISTINCT WHERE state <> 'left';

ALTER TABLE targets ADD COLUMN removed_at TIMESTAMP WITH TIME ZONE;
CREATE UNIQUE INDEX uq_targets_aim ON targets (programme_id, strand_id, measure, characteristic, due_on) NULLS NOT DISTINCT WHERE removed_at IS NULL;

ALTER TABLE allocations DROP CONSTRAINT uq_allocations_school;
ALTER TABLE allocations ADD COLUMN removed_at TIMESTAMP WITH TIME ZONE;
CREATE UNIQUE INDEX uq_allocations_school ON allocations (programme_id, school_id) WHERE removed_at IS NULL;

ALTER TABLE costs ADD COLUMN strand_id UUID;
ALTER TABLE costs ADD COLUMN external_ref TEXT CONSTRAINT ck_costs_external_ref_length CHECK (length(external_ref) <= 200);
ALTER TABLE costs ADD COLUMN removed_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE costs ADD CONSTRAINT fk_costs_strand_id FOREIGN KEY(strand_id) REFERENCES strands (id);
CREATE UNIQUE INDEX uq_costs_external_ref ON costs (programme_id, external_ref) WHERE removed_at IS NULL;

CREATE INDEX ix_bookings_programme_id ON bookings (programme_id, id) WHERE programme_id IS NOT NULL;

-- A UUIDv7 made here, for what a trigger writes: in the order of the clock, by the microsecond.
CREATE FUNCTION app.next_id() RETURNS uuid
LANGUAGE sql VOLATILE SET search_path = pg_catalog, public AS $$
  SELECT (lpad(to_hex(us / 1000), 12, '0') || '7' || lpad(to_hex((us % 1000) * 4096 / 1000), 3, '0')
          || substr('89ab', 1 + (us % 4)::integer, 1) || right(replace(gen_random_uuid()::text, '-', ''), 15))::uuid
    FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us) now
$$;
REVOKE ALL ON FUNCTION app.next_id() FROM PUBLIC;

-- The history writes itself, whoever changes a row and by whatever door; nobody can write or change it otherwise.
CREATE FUNCTION app.keep_programme_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
  v_now jsonb := to_jsonb(NEW);
  v_was jsonb := CASE WHEN TG_OP = 'UPDATE' THEN to_jsonb(OLD) END;
  v_client uuid := nullif(nullif(current_setting('app.client', true), ''), '00000000-0000-0000-0000-000000000000')::uuid;
BEGIN
  IF v_now - 'version' - 'updated_at' = v_was - 'version' - 'updated_at' THEN
    RETURN NULL;  -- only its version moved: something that hangs on it has changed, and says so itself
  END IF;
  INSERT INTO programme_changes (id, programme_id, owner_id, school_id, part, part_id, change, now, client_id)
  VALUES (app.next_id(), coalesce(v_now->>'programme_id', v_now->>'id')::uuid, NEW.owner_id, (v_now->>'school_id')::uuid,
          TG_ARGV[0], NEW.id,
          CASE WHEN v_was IS NULL THEN 'added'
               WHEN v_now->>'removed_at' IS NOT NULL OR (TG_ARGV[0] = 'school' AND v_now->>'state' = 'left') THEN 'removed'
               ELSE 'changed' END,
          v_now, v_client);
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION app.keep_programme_change() FROM PUBLIC;

CREATE TRIGGER programmes_kept AFTER INSERT OR UPDATE ON programmes FOR EACH ROW EXECUTE FUNCTION app.keep_programme_change('programme');
CREATE TRIGGER strands_kept AFTER INSERT OR UPDATE ON strands FOR EACH ROW EXECUTE FUNCTION app.keep_programme_change('strand');
CREATE TRIGGER programme_schools_kept AFTER INSERT OR UPDATE ON programme_schools FOR EACH ROW EXECUTE FUNCTION app.keep_programme_change('school');
CREATE TRIGGER targets_kept AFTER INSERT OR UPDATE ON targets FOR EACH ROW EXECUTE FUNCTION app.keep_programme_change('target');
CREATE TRIGGER allocations_kept AFTER INSERT OR UPDATE ON allocations FOR EACH ROW EXECUTE FUNCTION app.keep_programme_change('allocation');
CREATE TRIGGER costs_kept AFTER INSERT OR UPDATE ON costs FOR EACH ROW EXECUTE FUNCTION app.keep_programme_change('cost');

-- What was there before had a beginning, too.
INSERT INTO programme_changes (id, programme_id, owner_id, school_id, part, part_id, change, now, recorded_at)
SELECT app.next_id(), x.programme_id, x.owner_id, x.school_id, x.part, x.id, 'added', x.now, x.created_at
  FROM (SELECT id AS programme_id, owner_id, NULL::uuid AS school_id, 'programme' AS part, id, to_jsonb(p) AS now, created_at FROM programmes p
        UNION ALL SELECT programme_id, owner_id, NULL, 'strand', id, to_jsonb(s), created_at FROM strands s
        UNION ALL SELECT programme_id, owner_id, school_id, 'school', id, to_jsonb(s), created_at FROM programme_schools s
        UNION ALL SELECT programme_id, owner_id, NULL, 'target', id, to_jsonb(t), created_at FROM targets t
        UNION ALL SELECT programme_id, owner_id, school_id, 'allocation', id, to_jsonb(a), created_at FROM allocations a
        UNION ALL SELECT programme_id, owner_id, school_id, 'cost', id, to_jsonb(c), created_at FROM costs c) x
 ORDER BY x.created_at, x.id;

-- A programme, locked, for its owner or for a school that takes part in it (and answers, or records its costs).
CREATE FUNCTION app.hold_programme(p_programme uuid)
RETURNS TABLE (id uuid, owner_id uuid, state text, starts_on date, ends_on date, version integer)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT p.id, p.owner_id, p.state, p.starts_on, p.ends_on, p.version FROM programmes p
   WHERE p.id = p_programme
     AND (p.owner_id = app.org() OR EXISTS (
       SELECT 1 FROM programme_schools s
        WHERE s.programme_id = p.id AND s.school_id = ANY (app.writes()) AND s.state <> 'left'))
     FOR UPDATE OF p
$$;

-- Schools by id or by URN, whoever's they are: an invitation needs a name, and no more is told than that it is one.
-- `member`: it is the caller's today, through its hub or its trust.
CREATE FUNCTION app.schools_named(p_ids uuid[], p_urns text[])
RETURNS TABLE (id uuid, urn text, member boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT o.id, o.urn, o.id IN (SELECT c.school_id FROM app.schools_counted(app.today()) c)
    FROM organisations o
   WHERE o.kind = 'school' AND o.status = 'active' AND (o.id = ANY (p_ids) OR o.urn = ANY (p_urns))
$$;

-- The school invited (or its trust) says yes or no. The owner's part of the row is not the school's to write.
CREATE FUNCTION app.answer_invitation(p_enrolled uuid, p_accepts boolean)
RETURNS SETOF programme_schools
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  UPDATE programme_schools
     SET state = CASE WHEN p_accepts THEN 'enrolled' ELSE 'left' END,
         joined_on = CASE WHEN p_accepts THEN coalesce(joined_on, app.today()) END,
         left_on = CASE WHEN p_accepts THEN NULL ELSE app.today() END,
         version = version + 1, updated_at = now()
   WHERE id = p_enrolled AND state = 'invited' AND school_id = ANY (app.writes())
  RETURNING *
$$;

-- What a programme has reached, for its owner alone: the check of a target, never a figure that is shown as it is.
CREATE FUNCTION app.programme_reached(p_programme uuid, p_strand uuid DEFAULT NULL)
RETURNS TABLE (schools integer, young_people integer, minutes bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  WITH mine AS (
    SELECT p.id FROM programmes p WHERE p.id = p_programme AND p.owner_id = app.org()
  ), happened AS (
    SELECT e.academic_year, e.id, e.person_no FROM mine m JOIN bookings b ON b.programme_id = m.id
      JOIN encounters e ON e.booking_id = b.id
     WHERE e.state = 'credited' AND (p_strand IS NULL OR b.strand_id = p_strand)
  )
  SELECT (SELECT count(DISTINCT s.school_id)::integer FROM mine m JOIN programme_schools s ON s.programme_id = m.id
           WHERE s.state = 'enrolled' AND (p_strand IS NULL OR s.strand_id = p_strand)),
         (SELECT count(DISTINCT person_no)::integer FROM happened),
         (SELECT coalesce(sum(l.in_person_minutes + l.virtual_minutes), 0)::bigint FROM happened h
            JOIN ledger_entries l ON l.encounter_id = h.id AND l.academic_year = h.academic_year)
    FROM mine
$$;

-- Whether bookings that stand use a strand: asked by the owner, who reads no bookings.
CREATE FUNCTION app.strand_booked(p_strand uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT EXISTS (
    SELECT 1 FROM strands s JOIN bookings b ON b.programme_id = s.programme_id AND b.strand_id = s.id
     WHERE s.id = p_strand AND s.owner_id = app.org() AND b.state NOT IN ('declined', 'expired', 'cancelled'))
$$;

-- Which of these bookings are of the programme, and whose: for the lines of its costs. Nothing else of a booking is told.
CREATE FUNCTION app.bookings_of_programme(p_programme uuid, p_bookings uuid[])
RETURNS TABLE (booking_id uuid, school_id uuid, strand_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT b.id, b.school_id, b.strand_id FROM bookings b JOIN programmes p ON p.id = b.programme_id
   WHERE b.id = ANY (p_bookings) AND b.programme_id = p_programme
     AND (p.owner_id = app.org() OR b.school_id = ANY (app.schools()))
$$;

REVOKE ALL ON FUNCTION app.hold_programme(uuid), app.schools_named(uuid[], text[]), app.answer_invitation(uuid, boolean),
  app.programme_reached(uuid, uuid), app.strand_booked(uuid), app.bookings_of_programme(uuid, uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.hold_programme(uuid), app.schools_named(uuid[], text[]), app.answer_invitation(uuid, boolean),
  app.programme_reached(uuid, uuid), app.strand_booked(uuid), app.bookings_of_programme(uuid, uuid[]) TO tendays_app;
