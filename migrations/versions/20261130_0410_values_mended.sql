-- What is stored outside of the bounds is mended: an end that is further away is no end, where there can be none; everything
-- else is brought to the nearest bound. Then every row is known to lie within them. (No lock that keeps readers or writers out.)
UPDATE agreements SET
  signed_on = CASE WHEN signed_on IS NOT NULL THEN least(greatest(signed_on, DATE '1900-01-01'), DATE '2100-12-31') END
 WHERE NOT signed_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31';
UPDATE approvals SET
  approved_on = CASE WHEN approved_on IS NOT NULL THEN least(greatest(approved_on, DATE '1900-01-01'), DATE '2100-12-31') END,
  expires_on = CASE WHEN expires_on IS NOT NULL THEN CASE WHEN expires_on > DATE '2100-12-31' THEN NULL ELSE least(greatest(expires_on, DATE '1900-01-01'), DATE '2100-12-31') END END
 WHERE NOT approved_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31'
    OR NOT expires_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31';
UPDATE attendance_reports SET
  arrived_at = CASE WHEN arrived_at IS NOT NULL THEN least(greatest(arrived_at, TIMESTAMPTZ '2000-01-01 00:00:00+00'), TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') END,
  left_at = CASE WHEN left_at IS NOT NULL THEN least(greatest(left_at, TIMESTAMPTZ '2000-01-01 00:00:00+00'), TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') END
 WHERE NOT arrived_at BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00'
    OR NOT left_at BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00';
UPDATE characteristics SET
  valid_from = CASE WHEN valid_from IS NOT NULL THEN least(greatest(valid_from, DATE '1900-01-01'), DATE '2100-12-31') END,
  valid_to = CASE WHEN valid_to IS NOT NULL THEN CASE WHEN valid_to > DATE '2100-12-31' THEN NULL ELSE least(greatest(valid_to, DATE '1900-01-01'), DATE '2100-12-31') END END
 WHERE NOT valid_from BETWEEN DATE '1900-01-01' AND DATE '2100-12-31'
    OR NOT valid_to BETWEEN DATE '1900-01-01' AND DATE '2100-12-31';
UPDATE costs SET
  on_date = CASE WHEN on_date IS NOT NULL THEN least(greatest(on_date, DATE '1900-01-01'), DATE '2100-12-31') END
 WHERE NOT on_date BETWEEN DATE '1900-01-01' AND DATE '2100-12-31';
UPDATE covers SET
  starts_on = CASE WHEN starts_on IS NOT NULL THEN least(greatest(starts_on, DATE '1900-01-01'), DATE '2100-12-31') END,
  expires_on = CASE WHEN expires_on IS NOT NULL THEN CASE WHEN expires_on > DATE '2100-12-31' AND kind <> 'policy' THEN NULL ELSE least(greatest(expires_on, DATE '1900-01-01'), DATE '2100-12-31') END END,
  attested_on = CASE WHEN attested_on IS NOT NULL THEN least(greatest(attested_on, DATE '1900-01-01'), DATE '2100-12-31') END
 WHERE NOT starts_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31'
    OR NOT expires_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31'
    OR NOT attested_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31';
UPDATE encounters SET
  starts_on = CASE WHEN starts_on IS NOT NULL THEN least(greatest(starts_on, DATE '1900-01-01'), DATE '2100-12-31') END,
  ends_on = CASE WHEN ends_on IS NOT NULL THEN least(greatest(ends_on, DATE '1900-01-01'), DATE '2100-12-31') END
 WHERE NOT starts_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31'
    OR NOT ends_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31';
UPDATE enrolments SET
  starts_on = CASE WHEN starts_on IS NOT NULL THEN least(greatest(starts_on, DATE '1900-01-01'), DATE '2100-12-31') END,
  ends_on = CASE WHEN ends_on IS NOT NULL THEN CASE WHEN ends_on > DATE '2100-12-31' THEN NULL ELSE least(greatest(ends_on, DATE '1900-01-01'), DATE '2100-12-31') END END,
  date_of_birth = CASE WHEN date_of_birth IS NOT NULL THEN least(greatest(date_of_birth, DATE '1900-01-01'), DATE '2100-12-31') END
 WHERE NOT starts_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31'
    OR NOT ends_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31'
    OR NOT date_of_birth BETWEEN DATE '1900-01-01' AND DATE '2100-12-31';
UPDATE grants SET
  starts_on = CASE WHEN starts_on IS NOT NULL THEN least(greatest(starts_on, DATE '1900-01-01'), DATE '2100-12-31') END
 WHERE NOT starts_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31';
UPDATE memberships SET
  starts_on = CASE WHEN starts_on IS NOT NULL THEN least(greatest(starts_on, DATE '1900-01-01'), DATE '2100-12-31') END,
  ends_on = CASE WHEN ends_on IS NOT NULL THEN CASE WHEN ends_on > DATE '2100-12-31' THEN NULL ELSE least(greatest(ends_on, DATE '1900-01-01'), DATE '2100-12-31') END END
 WHERE NOT starts_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31'
    OR NOT ends_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31';
UPDATE parental_agreements SET
  answered_on = CASE WHEN answered_on IS NOT NULL THEN least(greatest(answered_on, DATE '1900-01-01'), DATE '2100-12-31') END
 WHERE NOT answered_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31';
UPDATE participation_sittings SET
  arrived_at = CASE WHEN arrived_at IS NOT NULL THEN least(greatest(arrived_at, TIMESTAMPTZ '2000-01-01 00:00:00+00'), TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') END,
  left_at = CASE WHEN left_at IS NOT NULL THEN least(greatest(left_at, TIMESTAMPTZ '2000-01-01 00:00:00+00'), TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') END
 WHERE NOT arrived_at BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00'
    OR NOT left_at BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00';
UPDATE programme_schools SET
  joined_on = CASE WHEN joined_on IS NOT NULL THEN least(greatest(joined_on, DATE '1900-01-01'), DATE '2100-12-31') END,
  left_on = CASE WHEN left_on IS NOT NULL THEN least(greatest(left_on, DATE '1900-01-01'), DATE '2100-12-31') END
 WHERE NOT joined_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31'
    OR NOT left_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31';
UPDATE programmes SET
  starts_on = CASE WHEN starts_on IS NOT NULL THEN least(greatest(starts_on, DATE '1900-01-01'), DATE '2100-12-31') END,
  ends_on = CASE WHEN ends_on IS NOT NULL THEN least(greatest(ends_on, DATE '1900-01-01'), DATE '2100-12-31') END
 WHERE NOT starts_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31'
    OR NOT ends_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31';
UPDATE sittings SET
  starts_at = CASE WHEN starts_at IS NOT NULL THEN least(greatest(starts_at, TIMESTAMPTZ '2000-01-01 00:00:00+00'), TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') END,
  ends_at = CASE WHEN ends_at IS NOT NULL THEN least(greatest(ends_at, TIMESTAMPTZ '2000-01-01 00:00:00+00'), TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') END
 WHERE NOT starts_at BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00'
    OR NOT ends_at BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00';
UPDATE slots SET
  starts_at = CASE WHEN starts_at IS NOT NULL THEN least(greatest(starts_at, TIMESTAMPTZ '2000-01-01 00:00:00+00'), TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') END,
  ends_at = CASE WHEN ends_at IS NOT NULL THEN least(greatest(ends_at, TIMESTAMPTZ '2000-01-01 00:00:00+00'), TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') END,
  book_by = CASE WHEN book_by IS NOT NULL THEN least(greatest(book_by, TIMESTAMPTZ '2000-01-01 00:00:00+00'), TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') END,
  name_by = CASE WHEN name_by IS NOT NULL THEN least(greatest(name_by, TIMESTAMPTZ '2000-01-01 00:00:00+00'), TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') END
 WHERE NOT starts_at BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00'
    OR NOT ends_at BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00'
    OR NOT book_by BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00'
    OR NOT name_by BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00';
UPDATE targets SET
  due_on = CASE WHEN due_on IS NOT NULL THEN CASE WHEN due_on > DATE '2100-12-31' THEN NULL ELSE least(greatest(due_on, DATE '1900-01-01'), DATE '2100-12-31') END END
 WHERE NOT due_on BETWEEN DATE '1900-01-01' AND DATE '2100-12-31';
UPDATE webhook_replays SET
  from_time = CASE WHEN from_time IS NOT NULL THEN least(greatest(from_time, TIMESTAMPTZ '2000-01-01 00:00:00+00'), TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') END,
  to_time = CASE WHEN to_time IS NOT NULL THEN least(greatest(to_time, TIMESTAMPTZ '2000-01-01 00:00:00+00'), TIMESTAMPTZ '2100-12-31 23:59:59.999999+00') END
 WHERE NOT from_time BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00'
    OR NOT to_time BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-12-31 23:59:59.999999+00';

-- The history of programmes keeps rows as JSON, and said "infinity".
UPDATE programme_changes
   SET now = replace(replace(now::text, '"-infinity"', '"1900-01-01"'), '"infinity"', '"2100-12-31"')::jsonb
 WHERE jsonb_path_exists(now, '$.* ? (@ == "infinity" || @ == "-infinity")');

ALTER TABLE agreements
  VALIDATE CONSTRAINT ck_agreements_signed_on_bounded;
ALTER TABLE approvals
  VALIDATE CONSTRAINT ck_approvals_approved_on_bounded,
  VALIDATE CONSTRAINT ck_approvals_expires_on_bounded;
ALTER TABLE attendance_reports
  VALIDATE CONSTRAINT ck_attendance_reports_arrived_at_bounded,
  VALIDATE CONSTRAINT ck_attendance_reports_left_at_bounded;
ALTER TABLE characteristics
  VALIDATE CONSTRAINT ck_characteristics_valid_from_bounded,
  VALIDATE CONSTRAINT ck_characteristics_valid_to_bounded;
ALTER TABLE costs
  VALIDATE CONSTRAINT ck_costs_on_date_bounded;
ALTER TABLE covers
  VALIDATE CONSTRAINT ck_covers_starts_on_bounded,
  VALIDATE CONSTRAINT ck_covers_expires_on_bounded,
  VALIDATE CONSTRAINT ck_covers_attested_on_bounded;
ALTER TABLE encounters
  VALIDATE CONSTRAINT ck_encounters_starts_on_bounded,
  VALIDATE CONSTRAINT ck_encounters_ends_on_bounded;
ALTER TABLE enrolments
  VALIDATE CONSTRAINT ck_enrolments_starts_on_bounded,
  VALIDATE CONSTRAINT ck_enrolments_ends_on_bounded,
  VALIDATE CONSTRAINT ck_enrolments_date_of_birth_bounded;
ALTER TABLE grants
  VALIDATE CONSTRAINT ck_grants_starts_on_bounded;
ALTER TABLE memberships
  VALIDATE CONSTRAINT ck_memberships_starts_on_bounded,
  VALIDATE CONSTRAINT ck_memberships_ends_on_bounded;
ALTER TABLE parental_agreements
  VALIDATE CONSTRAINT ck_parental_agreements_answered_on_bounded;
ALTER TABLE participation_sittings
  VALIDATE CONSTRAINT ck_participation_sittings_arrived_at_bounded,
  VALIDATE CONSTRAINT ck_participation_sittings_left_at_bounded;
ALTER TABLE programme_schools
  VALIDATE CONSTRAINT ck_programme_schools_joined_on_bounded,
  VALIDATE CONSTRAINT ck_programme_schools_left_on_bounded;
ALTER TABLE programmes
  VALIDATE CONSTRAINT ck_programmes_starts_on_bounded,
  VALIDATE CONSTRAINT ck_programmes_ends_on_bounded;
ALTER TABLE sittings
  VALIDATE CONSTRAINT ck_sittings_starts_at_bounded,
  VALIDATE CONSTRAINT ck_sittings_ends_at_bounded;
ALTER TABLE slots
  VALIDATE CONSTRAINT ck_slots_starts_at_bounded,
  VALIDATE CONSTRAINT ck_slots_ends_at_bounded,
  VALIDATE CONSTRAINT ck_slots_book_by_bounded,
  VALIDATE CONSTRAINT ck_slots_name_by_bounded;
ALTER TABLE targets
  VALIDATE CONSTRAINT ck_targets_due_on_bounded;
ALTER TABLE webhook_replays
  VALIDATE CONSTRAINT ck_webhook_replays_from_time_bounded,
  VALIDATE CONSTRAINT ck_webhook_replays_to_time_bounded;
