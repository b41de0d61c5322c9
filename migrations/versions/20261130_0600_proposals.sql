-- A confirmed booking that one side wants to move keeps its slot, its places and its names. What is proposed stands beside it,
-- and its places are held in the other slot until it is answered, withdrawn or over.
ALTER TABLE bookings
  ADD COLUMN proposal_by TEXT CONSTRAINT ck_bookings_proposal_by_known CHECK (proposal_by IN ('school', 'employer', 'overseer', 'system')),
  ADD COLUMN proposal_slot_id UUID CONSTRAINT fk_bookings_proposal_slot_id REFERENCES slots (id),
  ADD COLUMN proposal_places INTEGER CONSTRAINT ck_bookings_proposal_places_least CHECK (proposal_places >= 1),
  ADD COLUMN proposal_starts_at TIMESTAMP WITH TIME ZONE,
  ADD COLUMN proposal_ends_at TIMESTAMP WITH TIME ZONE,
  ADD COLUMN proposal_expires_at TIMESTAMP WITH TIME ZONE,
  ADD COLUMN proposal_reason TEXT CONSTRAINT ck_bookings_proposal_reason_known CHECK (proposal_reason IN ('too_time_consuming', 'no_suitable_tasks', 'no_supervisor', 'capacity', 'group_too_large', 'date_unsuitable', 'age_unsuitable', 'adjustment_not_possible', 'risk_assessment', 'insurance', 'site_closed', 'business_change', 'industrial_action', 'offer_withdrawn', 'pupil_withdrawn', 'parental_agreement_withdrawn', 'transport', 'cost', 'staffing', 'timetable_clash', 'school_closed', 'not_needed', 'duplicate', 'withdrawn_by_school', 'weather', 'safeguarding', 'illness', 'other', 'employer_suspended', 'cover_lapsed', 'approval_withdrawn', 'under_review', 'hold_lifted', 'cover_renewed', 'no_answer_from_employer', 'no_answer_from_school', 'slot_started', 'slot_cancelled', 'participants_not_named', 'grant_revoked')),
  ADD CONSTRAINT ck_bookings_proposal_whole CHECK (
    num_nulls(proposal_by, proposal_slot_id, proposal_places, proposal_starts_at, proposal_ends_at, proposal_expires_at) IN (0, 6)
    AND (proposal_slot_id IS NULL OR state = 'confirmed'));
CREATE INDEX ix_bookings_proposal_expires_at ON bookings (proposal_expires_at) WHERE proposal_expires_at IS NOT NULL;
CREATE INDEX ix_bookings_proposal_slot_id ON bookings (proposal_slot_id) WHERE proposal_slot_id IS NOT NULL;

ALTER TABLE booking_moves ADD COLUMN proposed_slot_id UUID;
ALTER TABLE booking_moves DROP CONSTRAINT ck_booking_moves_action_known;
ALTER TABLE booking_moves ADD CONSTRAINT ck_booking_moves_action_known CHECK (action IN ('request', 'join_waiting_list', 'promote', 'counter', 'accept_counter', 'confirm', 'decline', 'cancel', 'expire', 'hold', 'release', 'reschedule', 'accept_proposal', 'decline_proposal', 'withdraw_proposal', 'end_proposal', 'complete', 'assign'));

-- The places held for a proposal go back. The booking itself is untouched.
CREATE FUNCTION app.give_proposed_places(p_booking uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE slots s SET taken = s.taken - b.proposal_places FROM bookings b
   WHERE b.id = p_booking AND s.id = b.proposal_slot_id
     AND (b.school_id = ANY (app.writes()) OR b.employer_id = app.org() OR app.kind() = 'system');
  IF NOT FOUND THEN
    RAISE EXCEPTION 'booking' USING ERRCODE = 'TD404';
  END IF;
END $$;
REVOKE ALL ON FUNCTION app.give_proposed_places(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.give_proposed_places(uuid) TO tendays_app, tendays_worker;

-- A change of a slot concerns the schools to which it is proposed, too.
CREATE OR REPLACE FUNCTION app.schools_on_slot(p_slot uuid) RETURNS uuid[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT coalesce(array_agg(DISTINCT school_id), '{}') FROM (
    SELECT school_id FROM bookings
     WHERE slot_id = p_slot AND employer_id = app.org()
       AND state IN ('waiting', 'requested', 'countered', 'confirmed', 'on_hold')
     UNION ALL
    SELECT school_id FROM bookings WHERE proposal_slot_id = p_slot AND employer_id = app.org()) concerned
$$;
