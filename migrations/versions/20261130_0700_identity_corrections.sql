-- A pupil's number, names and date of birth were changed against what contradicts them. Append-only: which fields, by
-- whom, when; never the values.
CREATE TABLE identity_corrections (
    id UUID NOT NULL,
    school_id UUID NOT NULL,
    enrolment_id UUID NOT NULL,
    org_id UUID NOT NULL,
    client_id UUID NOT NULL,
    fields TEXT[] NOT NULL DEFAULT '{}',
    has_encounters BOOLEAN NOT NULL,
    corrected_at TIMESTAMP WITH TIME ZONE NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
    CONSTRAINT pk_identity_corrections PRIMARY KEY (id),
    CONSTRAINT fk_identity_corrections_school_id FOREIGN KEY(school_id) REFERENCES organisations (id),
    CONSTRAINT fk_identity_corrections_org_id FOREIGN KEY(org_id) REFERENCES organisations (id)
);
CREATE INDEX ix_identity_corrections_school_id ON identity_corrections (school_id, id);

ALTER TABLE identity_corrections ENABLE ROW LEVEL SECURITY;
ALTER TABLE identity_corrections FORCE ROW LEVEL SECURITY;
CREATE POLICY identity_corrections_owner ON identity_corrections TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY identity_corrections_read ON identity_corrections FOR SELECT TO tendays_app
  USING (school_id = ANY ((SELECT app.schools())::uuid[]) AND (SELECT app.kind()) <> 'vendor');
CREATE POLICY identity_corrections_insert ON identity_corrections FOR INSERT TO tendays_app
  WITH CHECK (school_id = ANY ((SELECT app.writes())::uuid[]) AND org_id = (SELECT app.org()));
GRANT SELECT, INSERT ON identity_corrections TO tendays_app;

-- Of pupils of a school whose roll the caller keeps: is anything recorded that is a pupil's own (an encounter, or an
-- attendance that one follows from), and is the person enrolled at another school too? Asked for corrections only.
CREATE FUNCTION app.pupils_at_stake(p_school uuid, p_pupils uuid[])
RETURNS TABLE (id uuid, has_encounters boolean, elsewhere boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT p_school = ANY (app.writes()) THEN
    RAISE EXCEPTION 'school' USING ERRCODE = 'TD404';
  END IF;
  RETURN QUERY
  SELECT e.id,
         EXISTS (SELECT 1 FROM encounters c WHERE c.enrolment_id = e.id AND c.state = 'credited')
         OR EXISTS (SELECT 1 FROM participations p JOIN participation_sittings t ON t.participation_id = p.id
                     WHERE p.enrolment_id = e.id AND t.status NOT IN ('expected', 'closed', 'excused')),
         EXISTS (SELECT 1 FROM enrolments o WHERE o.person_id = e.person_id AND o.school_id <> p_school)
    FROM enrolments e WHERE e.school_id = p_school AND e.id = ANY (p_pupils);
END $$;
REVOKE ALL ON FUNCTION app.pupils_at_stake(uuid, uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.pupils_at_stake(uuid, uuid[]) TO tendays_app;
