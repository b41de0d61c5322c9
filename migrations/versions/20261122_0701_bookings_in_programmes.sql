-- Bookings say which programme and strand they are part of, and are held to it; a school may leave by itself.

-- May a booking of this school be part of it? The programme is locked for reading: its owner cannot remove a strand
-- meanwhile. No row for a programme that neither the caller runs nor the school takes part in.
CREATE FUNCTION app.programme_for_booking(p_programme uuid, p_strand uuid, p_school uuid)
RETURNS TABLE (state text, starts_on date, ends_on date, strand_known boolean, enrolled boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  IF NOT p_school = ANY (app.writes()) THEN
    RETURN;
  END IF;
  PERFORM 1 FROM programmes p WHERE p.id = p_programme FOR SHARE;
  RETURN QUERY
    SELECT p.state, p.starts_on, p.ends_on,
           p_strand IS NULL OR EXISTS (SELECT 1 FROM strands t WHERE t.id = p_strand AND t.programme_id = p.id AND t.removed_at IS NULL),
           EXISTS (SELECT 1 FROM programme_schools s WHERE s.programme_id = p.id AND s.school_id = p_school AND s.state = 'enrolled'
                      AND (p_strand IS NULL OR s.strand_id IS NULL OR s.strand_id = p_strand))
      FROM programmes p
     WHERE p.id = p_programme
       AND (p.owner_id = app.org() OR EXISTS (SELECT 1 FROM programme_schools s
              WHERE s.programme_id = p.id AND s.school_id = p_school AND s.state <> 'left'));
END $$;

-- A school (or its trust) leaves: the owner's part of the row is not the school's to write.
CREATE FUNCTION app.leave_programme(p_enrolled uuid, p_on date)
RETURNS SETOF programme_schools
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  UPDATE programme_schools SET state = 'left', left_on = p_on, version = version + 1, updated_at = now()
   WHERE id = p_enrolled AND state = 'enrolled' AND school_id = ANY (app.writes())
  RETURNING *
$$;

REVOKE ALL ON FUNCTION app.programme_for_booking(uuid, uuid, uuid), app.leave_programme(uuid, date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.programme_for_booking(uuid, uuid, uuid), app.leave_programme(uuid, date) TO tendays_app;

-- A booking's history also says when it became part of another programme. The school's side reads it.
ALTER TABLE booking_moves DROP CONSTRAINT ck_booking_moves_action_known;
ALTER TABLE booking_moves ADD CONSTRAINT ck_booking_moves_action_known CHECK (action IN ('request', 'join_waiting_list', 'promote', 'counter', 'accept_counter', 'confirm', 'decline', 'cancel', 'expire', 'hold', 'release', 'reschedule', 'complete', 'assign'));
ALTER TABLE booking_moves ADD COLUMN programme_id UUID;
ALTER TABLE booking_moves ADD COLUMN strand_id UUID;
