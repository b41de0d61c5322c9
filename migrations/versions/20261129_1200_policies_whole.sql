-- A row of dated data that cannot be read would end every request that asks for the law: it is refused where it is written.
-- NOT VALID: what is there already is left to whoever wrote it.
CREATE FUNCTION app.policy_is_whole(topic text, body jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
  SELECT coalesce(CASE topic
  WHEN 'cover' THEN
    body->>'kind' IN ('workplace_tour', 'workplace_visit', 'employer_talk_on_site', 'work_shadowing', 'employer_project',
                      'placement', 'virtual_experience', 'school_based_encounter', 'innovative')
    AND body->>'liability' IN ('employers_liability', 'public_liability') AND body->>'minimum_pounds' ~ '^[0-9]{1,12}$'
  WHEN 'age_prohibition' THEN
    body->>'hazard' IN ('alcohol_sales', 'gambling_premises', 'lead_processes', 'classified_radiation_work',
                        'agricultural_vehicles', 'ships')
    AND body->>'minimum_age' ~ '^[0-9]{1,2}$'
  WHEN 'entitlement' THEN
    jsonb_typeof(body->'code') = 'string' AND jsonb_typeof(body->'total_minutes') = 'number'
    AND jsonb_typeof(body->'day_minutes') = 'number' AND jsonb_typeof(body->'daily_cap') IN ('number', 'null')
    AND jsonb_typeof(body->'bands') = 'array'
    AND NOT jsonb_path_exists(body, '$.bands[*] ? (
      !(@.band == "years_7_9" || @.band == "years_10_11" || @.band == "post_16") || !(@.minutes.type() == "number")
      || !(@.kinds.type() == "array" || @.kinds == null) || !(@.virtual_share.type() == "string")
      || !(@.virtual_share like_regex "^[0-9]+(/[1-9][0-9]*)?$"))')
  ELSE true END, false)
$$;
REVOKE ALL ON FUNCTION app.policy_is_whole(text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.policy_is_whole(text, jsonb) TO tendays_owner, tendays_worker;
ALTER TABLE dated_policies ADD CONSTRAINT ck_dated_policies_body_whole CHECK (app.policy_is_whole(topic, body)) NOT VALID;
