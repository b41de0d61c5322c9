-- What becomes true by the date alone is written down, numbered and told when it does: a pupil has left, a claim is the only
-- one left, a membership has begun or ended, cover or an approval has run out. Before, it was true only where somebody looked.

CREATE INDEX ix_enrolments_ending ON enrolments (ends_on) WHERE ends_on IS NOT NULL AND state <> 'left';
CREATE INDEX ix_enrolments_claimed ON enrolments (id) WHERE state = 'claimed';
CREATE INDEX ix_characteristics_valid_from ON characteristics (valid_from) WHERE superseded_at IS NULL;

ALTER TABLE change_marks ADD COLUMN judged_on DATE;
ALTER TABLE memberships ADD COLUMN in_force BOOLEAN DEFAULT 'false' NOT NULL;
ALTER TABLE covers ADD COLUMN in_force BOOLEAN DEFAULT 'false' NOT NULL;
ALTER TABLE approvals ADD COLUMN in_force BOOLEAN DEFAULT 'false' NOT NULL;

-- Whoever writes a row tells of it as it stands on that day.
CREATE FUNCTION app.judge_by_date() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE v_today date := app.today();
BEGIN
  IF TG_TABLE_NAME = 'memberships' THEN
    NEW.in_force := NEW.starts_on <= v_today AND (NEW.ends_on IS NULL OR NEW.ends_on > v_today);
  ELSIF TG_TABLE_NAME = 'covers' THEN
    NEW.in_force := NEW.withdrawn_at IS NULL AND NEW.starts_on <= v_today
                    AND (NEW.expires_on IS NULL OR NEW.expires_on >= v_today);
  ELSE
    -- An approval without a last day lasts until it is withdrawn.
    NEW.in_force := NEW.state = 'approved' AND (NEW.expires_on IS NULL OR NEW.expires_on >= v_today);
  END IF;
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION app.judge_by_date() FROM PUBLIC;
CREATE TRIGGER memberships_judged BEFORE INSERT OR UPDATE ON memberships FOR EACH ROW EXECUTE FUNCTION app.judge_by_date();
CREATE TRIGGER covers_judged BEFORE INSERT OR UPDATE ON covers FOR EACH ROW EXECUTE FUNCTION app.judge_by_date();
CREATE TRIGGER approvals_judged BEFORE INSERT OR UPDATE ON approvals FOR EACH ROW EXECUTE FUNCTION app.judge_by_date();

-- What there is stands as it does today, and is told no more.
UPDATE memberships SET in_force = in_force;
UPDATE covers SET in_force = in_force;
UPDATE approvals SET in_force = in_force;
UPDATE change_marks SET judged_on = app.today();

CREATE INDEX ix_memberships_beginning ON memberships (ends_on) WHERE NOT in_force;
CREATE INDEX ix_memberships_ending ON memberships (ends_on) WHERE in_force AND ends_on IS NOT NULL;
CREATE INDEX ix_covers_beginning ON covers (expires_on) WHERE NOT in_force AND withdrawn_at IS NULL;
CREATE INDEX ix_covers_ending ON covers (expires_on) WHERE in_force AND expires_on IS NOT NULL;
CREATE INDEX ix_approvals_ending ON approvals (expires_on) WHERE in_force;

-- Up to p_most ids after p_after, in order, of what is due: pupils, claims, memberships, covers, approvals.
CREATE FUNCTION app.due_by_date(p_what text, p_after uuid, p_most integer) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE t date := app.today();
BEGIN
  RETURN QUERY SELECT d.id FROM (
    SELECT e.id FROM enrolments e
     WHERE p_what = 'pupils' AND e.ends_on IS NOT NULL AND e.state <> 'left' AND e.ends_on < t
    UNION ALL
    SELECT e.id FROM enrolments e
     WHERE p_what = 'claims' AND e.state = 'claimed' AND NOT app.is_elsewhere(e.person_id, e.school_id)
    UNION ALL
    SELECT m.id FROM memberships m
     WHERE p_what = 'memberships' AND NOT m.in_force AND m.starts_on <= t AND (m.ends_on IS NULL OR m.ends_on > t)
    UNION ALL
    SELECT m.id FROM memberships m
     WHERE p_what = 'memberships' AND m.in_force AND m.ends_on IS NOT NULL AND m.ends_on <= t
    UNION ALL
    SELECT c.id FROM covers c
     WHERE p_what = 'covers' AND NOT c.in_force AND c.withdrawn_at IS NULL AND c.starts_on <= t
       AND (c.expires_on IS NULL OR c.expires_on >= t)
    UNION ALL
    SELECT c.id FROM covers c
     WHERE p_what = 'covers' AND c.in_force AND c.expires_on IS NOT NULL AND c.expires_on < t
    UNION ALL
    SELECT a.id FROM approvals a WHERE p_what = 'approvals' AND a.in_force AND a.expires_on < t) d
   WHERE d.id > p_after ORDER BY d.id LIMIT p_most;
END $$;

-- Write one of them down. Answers the row, with the kind of the organisation that is told as `told_kind`; NULL if it is not
-- due any more, or somebody else is at it.
CREATE FUNCTION app.turn_by_date(p_what text, p_id uuid) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE t date := app.today(); v_state text; v_person uuid; v_school uuid; v jsonb;
BEGIN
  IF p_what IN ('pupils', 'claims') THEN
    SELECT CASE WHEN e.ends_on < t AND e.state <> 'left' THEN 'left' WHEN e.state = 'claimed' THEN 'active' END,
           e.person_id, e.school_id
      INTO v_state, v_person, v_school
      FROM enrolments e WHERE e.id = p_id FOR UPDATE SKIP LOCKED;
    IF v_state = 'active' THEN  -- of several claims one at a time becomes the enrolment
      PERFORM 1 FROM persons p WHERE p.id = v_person FOR UPDATE;
      IF app.is_elsewhere(v_person, v_school) THEN v_state := NULL; END IF;
    END IF;
    IF v_state IS NOT NULL THEN
      UPDATE enrolments e SET state = v_state, version = e.version + 1, updated_at = now() WHERE e.id = p_id
      RETURNING jsonb_build_object('id', e.id, 'school_id', e.school_id, 'state', e.state, 'version', e.version) INTO v;
    END IF;
  ELSIF p_what = 'memberships' THEN
    PERFORM 1 FROM memberships m WHERE m.id = p_id FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
      UPDATE memberships m SET in_force = NOT m.in_force FROM organisations o
       WHERE m.id = p_id AND o.id = m.member_id
         AND m.in_force <> (m.starts_on <= t AND (m.ends_on IS NULL OR m.ends_on > t))
      RETURNING jsonb_build_object('id', m.id, 'member_id', m.member_id, 'parent_id', m.parent_id, 'kind', m.kind,
                  'starts_on', m.starts_on, 'ends_on', m.ends_on, 'told_kind', o.kind) INTO v;
    END IF;
  ELSIF p_what = 'covers' THEN
    PERFORM 1 FROM covers c WHERE c.id = p_id FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
      UPDATE covers c SET in_force = NOT c.in_force
       WHERE c.id = p_id AND c.in_force <> (c.withdrawn_at IS NULL AND c.starts_on <= t
                                            AND (c.expires_on IS NULL OR c.expires_on >= t))
      RETURNING jsonb_build_object('id', c.id, 'employer_id', c.employer_id, 'version', c.version) INTO v;
    END IF;
  ELSE
    PERFORM 1 FROM approvals a WHERE a.id = p_id FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
      UPDATE approvals a SET in_force = false FROM organisations o
       WHERE a.id = p_id AND o.id = a.approver_id AND a.in_force AND a.expires_on < t
      RETURNING jsonb_build_object('id', a.id, 'employer_id', a.employer_id, 'approver_id', a.approver_id,
                  'site_id', a.site_id, 'kind', a.kind, 'activity_band', a.activity_band, 'told_kind', o.kind) INTO v;
    END IF;
  END IF;
  RETURN v;
END $$;

-- A characteristic that was recorded ahead is shown from its first day on: from then its pupil has changed. Once a day.
CREATE FUNCTION app.number_characteristics_of_today() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE t date := app.today(); v_was date; v_done integer := 0;
BEGIN
  SELECT judged_on INTO v_was FROM change_marks;
  IF v_was = t OR NOT pg_try_advisory_xact_lock(7310009) THEN RETURN 0; END IF;
  UPDATE enrolments e SET changed_seq = e.changed_seq
   WHERE e.id = ANY (ARRAY(SELECT DISTINCT c.enrolment_id FROM characteristics c
                            WHERE c.superseded_at IS NULL AND c.valid_from > v_was AND c.valid_from <= t));
  GET DIAGNOSTICS v_done = ROW_COUNT;
  UPDATE change_marks SET judged_on = t;
  RETURN v_done;
END $$;

REVOKE ALL ON FUNCTION app.due_by_date(text, uuid, integer), app.turn_by_date(text, uuid),
  app.number_characteristics_of_today() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.due_by_date(text, uuid, integer), app.turn_by_date(text, uuid),
  app.number_characteristics_of_today() TO tendays_worker;
