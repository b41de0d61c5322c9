-- Certifications of receivers: a graded suite that was asked for, and what came of it.

CREATE TABLE certifications (
    id UUID NOT NULL,
    org_id UUID NOT NULL,
    endpoint_id UUID NOT NULL,
    side TEXT NOT NULL CONSTRAINT ck_certifications_side_known CHECK (side IN ('school', 'employer', 'hub')),
    state TEXT DEFAULT 'queued' NOT NULL CONSTRAINT ck_certifications_state_known CHECK (state IN ('queued', 'running', 'done', 'cancelled')),
    grade TEXT CONSTRAINT ck_certifications_grade_known CHECK (grade IN ('A', 'B', 'C', 'F')),
    cases JSONB DEFAULT '[]' NOT NULL,
    leased_until TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_certifications PRIMARY KEY (id),
    CONSTRAINT fk_certifications_org_id FOREIGN KEY(org_id) REFERENCES organisations (id),
    CONSTRAINT fk_certifications_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES webhook_endpoints (id)
);

CREATE INDEX ix_certifications_org_id ON certifications (org_id, id);
CREATE INDEX ix_certifications_endpoint_id ON certifications (endpoint_id, id);
CREATE INDEX ix_certifications_open ON certifications (id) WHERE state IN ('queued', 'running');

ALTER TABLE certifications ENABLE ROW LEVEL SECURITY;
ALTER TABLE certifications FORCE ROW LEVEL SECURITY;
CREATE POLICY certifications_owner ON certifications TO tendays_owner USING (true) WITH CHECK (true);
CREATE POLICY certifications_read ON certifications FOR SELECT TO tendays_app USING (org_id = (SELECT app.org()));
CREATE POLICY certifications_insert ON certifications FOR INSERT TO tendays_app WITH CHECK (org_id = (SELECT app.org())
  AND EXISTS (SELECT 1 FROM webhook_endpoints e WHERE e.id = endpoint_id AND e.org_id = (SELECT app.org())));
GRANT SELECT, INSERT ON certifications TO tendays_app;
CREATE POLICY certifications_worker ON certifications TO tendays_worker USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE ON certifications TO tendays_worker;
