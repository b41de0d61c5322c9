-- Who recorded a line of costs, and whose client made a change: an organisation, as nobody knows the clients of others.
-- Null where it was written before, or by the house itself.
ALTER TABLE costs ADD COLUMN recorded_by UUID;

ALTER TABLE programme_changes ADD COLUMN org_id UUID;
UPDATE programme_changes h SET org_id = c.org_id FROM clients c WHERE c.id = h.client_id;

-- As before, and whose client it is.
CREATE OR REPLACE FUNCTION app.keep_programme_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
  v_now jsonb := to_jsonb(NEW);
  v_was jsonb := CASE WHEN TG_OP = 'UPDATE' THEN to_jsonb(OLD) END;
  v_client uuid := nullif(nullif(current_setting('app.client', true), ''), '00000000-0000-0000-0000-000000000000')::uuid;
BEGIN
  IF v_now - 'version' - 'updated_at' = v_was - 'version' - 'updated_at' THEN
    RETURN NULL;  -- only its version moved: something that hangs on it has changed, and says so itself
  END IF;
  INSERT INTO programme_changes (id, programme_id, owner_id, school_id, part, part_id, change, now, client_id, org_id)
  VALUES (app.next_id(), coalesce(v_now->>'programme_id', v_now->>'id')::uuid, NEW.owner_id, (v_now->>'school_id')::uuid,
          TG_ARGV[0], NEW.id,
          CASE WHEN v_was IS NULL THEN 'added'
               WHEN v_now->>'removed_at' IS NOT NULL OR (TG_ARGV[0] = 'school' AND v_now->>'state' = 'left') THEN 'removed'
               ELSE 'changed' END,
          v_now, v_client, CASE WHEN v_client IS NOT NULL THEN nullif(current_setting('app.org', true), '')::uuid END);
  RETURN NULL;
END $$;
