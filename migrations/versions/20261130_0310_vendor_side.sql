-- A vendor oversees nobody: its own events (a grant to it, its endpoints) say `vendor`, no longer `hub`. What was told before
-- keeps its bytes.
ALTER TABLE events DROP CONSTRAINT ck_events_audience_known;
ALTER TABLE events ADD CONSTRAINT ck_events_audience_known CHECK (audience IN ('school', 'employer', 'hub', 'vendor'));
ALTER TABLE certifications DROP CONSTRAINT ck_certifications_side_known;
ALTER TABLE certifications ADD CONSTRAINT ck_certifications_side_known CHECK (side IN ('school', 'employer', 'hub', 'vendor'));
