-- The day itself: alarms and closures by sitting, the school's deciding report, what settling a visit may touch.

-- With a report that decides, the school sets aside all that was said before it.
ALTER TABLE attendance_reports ADD COLUMN decides BOOLEAN DEFAULT 'false' NOT NULL;

-- What the house or the school said of one sitting of one booking as a whole.
CREATE TABLE sitting_marks (
    booking_id UUID NOT NULL,
    sitting_id UUID NOT NULL,
    school_id UUID NOT NULL,
    employer_id UUID NOT NULL,
    overdue_at TIMESTAMP WITH TIME ZONE,
    cleared_at TIMESTAMP WITH TIME ZONE,
    closed_at TIMESTAMP WITH TIME ZONE,
    closed_by UUID,
    reason_code TEXT CONSTRAINT ck_sitting_marks_reason_code_length CHECK (length(reason_code) <= 60),
    CONSTRAINT pk_sitting_marks PRIMARY KEY (booking_id, sitting_id),
    CONSTRAINT fk_sitting_marks_booking_id FOREIGN KEY(booking_id) REFERENCES bookings (id),
    CONSTRAINT fk_sitting_marks_sitting_id FOREIGN KEY(sitting_id) REFERENCES sittings (id),
    CONSTRAINT fk_sitting_marks_school_id FOREIGN KEY(school_id) REFERENCES organisations (id),
    CONSTRAINT fk_sitting_marks_employer_id FOREIGN KEY(employer_id) REFERENCES employers (id)
);

CREATE INDEX ix_sitting_marks_employer_id ON sitting_marks (employer_id);
CREATE INDEX ix_sitting_marks_overdue ON sitting_marks (booking_id) WHERE overdue_at IS NOT NULL AND cleared_at IS NULL;
CREATE INDEX ix_sitting_marks_school_id ON sitting_marks (school_id);

ALTER TABLE sitting_marks ENABLE ROW LEVEL SECURITY;
ALTER TABLE sitting_marks FORCE ROW LEVEL SECURITY;
CREATE POLICY sitting_marks_owner ON sitting_marks TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY sitting_marks_read ON sitting_marks FOR SELECT TO tendays_app USING (school_id = ANY ((SELECT app.schools())::uuid[]) OR employer_id = (SELECT app.org()));
CREATE POLICY sitting_marks_insert ON sitting_marks FOR INSERT TO tendays_app WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));
CREATE POLICY sitting_marks_update ON sitting_marks FOR UPDATE TO tendays_app USING (school_id = ANY ((SELECT app.writes())::uuid[])) WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]));
CREATE POLICY sitting_marks_worker ON sitting_marks TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON sitting_marks TO tendays_app, tendays_worker;

-- What was visited, for the record of those who came. The offer may have been withdrawn or narrowed since; the booking
-- is the caller's, or it is not found. From here on the caller acts on both sides of it.
CREATE FUNCTION app.visit_of(p_booking uuid)
RETURNS TABLE (kind text, mode text, activity_band text, criteria text[], title text, employer_name text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  IF app.kind() <> 'system' THEN PERFORM app.act_on_booking(p_booking); END IF;
  RETURN QUERY
  SELECT b.kind, o.mode, o.activity_band, o.criteria, o.title, org.name
    FROM bookings b JOIN offers o ON o.id = b.offer_id JOIN organisations org ON org.id = b.employer_id
   WHERE b.id = p_booking;
END $$;
REVOKE ALL ON FUNCTION app.visit_of(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.visit_of(uuid) TO tendays_app, tendays_worker;

-- A visit that was reported whole before its end is settled by the worker when the end has come.
CREATE POLICY encounters_worker ON encounters TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON encounters TO tendays_worker;
CREATE POLICY encounter_keys_worker ON encounter_keys TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON encounter_keys TO tendays_worker;
CREATE POLICY ledger_entries_worker ON ledger_entries TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON ledger_entries TO tendays_worker;
CREATE POLICY balances_worker ON balances TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON balances TO tendays_worker;
CREATE POLICY yearly_balances_worker ON yearly_balances TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON yearly_balances TO tendays_worker;
CREATE POLICY summaries_worker ON summaries TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON summaries TO tendays_worker;
-- Of pupils the worker reads the date of birth only (it bands the year group X), never a name.
CREATE POLICY enrolments_worker ON enrolments FOR SELECT TO tendays_worker USING (true);
GRANT SELECT (id, school_id, date_of_birth) ON enrolments TO tendays_worker;
