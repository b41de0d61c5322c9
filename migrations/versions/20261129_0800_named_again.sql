-- A pupil who was withdrawn, or whose booking moved to another slot, may be named in it again: the row of before stays
-- as it was. Only of those who are named does a booking have each pupil once.
CREATE UNIQUE INDEX uq_participations_named ON participations (booking_id, enrolment_id) WHERE state <> 'withdrawn';
CREATE INDEX ix_participations_booking_id ON participations (booking_id);
ALTER TABLE participations DROP CONSTRAINT uq_participations_pupil;

-- Whose bookings are looked at for cover that is there no more: few employers withdraw any.
CREATE INDEX ix_covers_withdrawn ON covers (employer_id) WHERE withdrawn_at IS NOT NULL;
