ALTER TABLE offers ALTER skills DROP NOT NULL, ALTER skills DROP DEFAULT, ALTER criteria DROP NOT NULL, ALTER criteria DROP DEFAULT,
  ALTER hazards DROP NOT NULL, ALTER hazards DROP DEFAULT;
ALTER TABLE open_slots ALTER skills DROP NOT NULL, ALTER skills DROP DEFAULT, ALTER criteria DROP NOT NULL,
  ALTER criteria DROP DEFAULT;
ALTER TABLE employers ALTER sectors DROP NOT NULL, ALTER sectors DROP DEFAULT;

-- What is known of employers over time counts sectors; one that has recorded none counts in none, as before.
CREATE OR REPLACE FUNCTION app.keep_employer() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    UPDATE employers_known SET known_to = greatest(now(), known_from) WHERE employer_id = NEW.id AND known_to IS NULL;
  END IF;
  INSERT INTO employers_known (employer_id, size_band, sectors, known_from)
  VALUES (NEW.id, NEW.size_band, coalesce(NEW.sectors, '{}'), CASE TG_OP WHEN 'INSERT' THEN '-infinity' ELSE now() END);
  RETURN NULL;
END $$;

-- Until now an empty list was also what came of saying nothing, and nobody can tell the two apart: it is not recorded.
UPDATE offers SET skills = nullif(skills, '{}'), criteria = nullif(criteria, '{}'), hazards = nullif(hazards, '{}')
 WHERE '{}' IN (skills, criteria, hazards);
UPDATE employers SET sectors = NULL WHERE sectors = '{}';
