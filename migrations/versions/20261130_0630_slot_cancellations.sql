-- Why a slot was cancelled, and by which client: its bookings' histories name the employer and the reason.
ALTER TABLE slots
  ADD COLUMN cancel_reason TEXT CONSTRAINT ck_slots_cancel_reason_known CHECK (cancel_reason IN ('too_time_consuming', 'no_suitable_tasks', 'no_supervisor', 'capacity', 'group_too_large', 'date_unsuitable', 'age_unsuitable', 'adjustment_not_possible', 'risk_assessment', 'insurance', 'site_closed', 'business_change', 'industrial_action', 'offer_withdrawn', 'pupil_withdrawn', 'parental_agreement_withdrawn', 'transport', 'cost', 'staffing', 'timetable_clash', 'school_closed', 'not_needed', 'duplicate', 'withdrawn_by_school', 'weather', 'safeguarding', 'illness', 'other', 'employer_suspended', 'cover_lapsed', 'approval_withdrawn', 'under_review', 'hold_lifted', 'cover_renewed', 'no_answer_from_employer', 'no_answer_from_school', 'slot_started', 'slot_cancelled', 'participants_not_named', 'grant_revoked')),
  ADD COLUMN cancelled_by UUID;

-- One reference of an employer's is one booking. Of several that have it, the first keeps it; the others say whose they are.
UPDATE bookings b SET employer_ref = left(b.employer_ref, 160) || '~' || b.id
 WHERE EXISTS (SELECT 1 FROM bookings o
                WHERE o.employer_id = b.employer_id AND o.employer_ref = b.employer_ref AND o.id < b.id);
ALTER TABLE bookings ADD CONSTRAINT uq_bookings_employer_ref UNIQUE (employer_id, employer_ref);
