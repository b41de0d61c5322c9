-- Enrolments that were given a last day. The worker looks at these alone, not at every pupil who ever left.
CREATE TABLE pupils_leaving (
    enrolment_id UUID NOT NULL,
    school_id UUID NOT NULL,
    noted_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
    CONSTRAINT pk_pupils_leaving PRIMARY KEY (enrolment_id),
    CONSTRAINT fk_pupils_leaving_enrolment_id FOREIGN KEY(enrolment_id) REFERENCES enrolments (id),
    CONSTRAINT fk_pupils_leaving_school_id FOREIGN KEY(school_id) REFERENCES organisations (id)
);

ALTER TABLE pupils_leaving ENABLE ROW LEVEL SECURITY;
ALTER TABLE pupils_leaving FORCE ROW LEVEL SECURITY;
CREATE POLICY pupils_leaving_owner ON pupils_leaving TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY pupils_leaving_worker ON pupils_leaving TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, DELETE ON pupils_leaving TO tendays_worker;
GRANT SELECT (ends_on) ON enrolments TO tendays_worker;

CREATE FUNCTION app.note_leaver() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO pupils_leaving (enrolment_id, school_id) VALUES (NEW.id, NEW.school_id)
  ON CONFLICT (enrolment_id) DO UPDATE SET noted_at = now();
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION app.note_leaver() FROM PUBLIC;
CREATE TRIGGER enrolments_leaving AFTER UPDATE OF ends_on ON enrolments FOR EACH ROW
  WHEN (NEW.ends_on IS NOT NULL AND NEW.ends_on IS DISTINCT FROM OLD.ends_on) EXECUTE FUNCTION app.note_leaver();

-- Those who were named for a day after their last day before this was refused.
INSERT INTO pupils_leaving (enrolment_id, school_id)
SELECT DISTINCT e.id, e.school_id
  FROM enrolments e JOIN participations p ON p.enrolment_id = e.id AND p.state = 'named'
  JOIN participation_sittings t ON t.participation_id = p.id AND t.status = 'expected' AND t.active
 WHERE e.ends_on IS NOT NULL AND (lower(t.during) AT TIME ZONE 'Europe/London')::date > e.ends_on;
