-- A client that signs has its keys with us (jwks) or at a URL of its own (jwks_uri), never both.
ALTER TABLE clients ADD COLUMN jwks_uri text;
ALTER TABLE clients ADD CONSTRAINT ck_clients_jwks_uri_length CHECK (length(jwks_uri) <= 2000);
ALTER TABLE clients ADD CONSTRAINT ck_clients_one_key_set CHECK (jwks IS NULL OR jwks_uri IS NULL);

-- Where the keys are at a URL, jwks is {"uri": URL}: an API process of the version before reads it as a set without keys.
CREATE OR REPLACE FUNCTION app.client_for_token(p_client uuid)
RETURNS TABLE (org_id uuid, org_kind text, scopes text[], jwks jsonb, secret_hashes bytea[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT c.org_id, o.kind, c.scopes,
         CASE WHEN c.jwks_uri IS NULL THEN c.jwks ELSE jsonb_build_object('uri', c.jwks_uri) END,
         coalesce((SELECT array_agg(s.secret_hash) FROM client_secrets s WHERE s.client_id = c.id
                     AND s.revoked_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > now())), '{}')
    FROM clients c JOIN organisations o ON o.id = c.org_id
   WHERE c.id = p_client AND c.revoked_at IS NULL AND o.status = 'active'
$$;
