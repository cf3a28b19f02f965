-- Writes one event, which is what most entries hold: as log.append_one, without its arrays. Answers
-- with the position, or with nothing where it is for log.append to say why; then nothing was changed.
--
-- It runs in its owner's name under the caller's search path: to set one for each call costs 10 µs of
-- some 400. So each name in it, operators and types included, says where it is from.
CREATE FUNCTION log.append_event(
  name text, expected bigint, category text,
  id bytea, account text, type text, schema int, payload bytea, metadata bytea, digest bytea)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  at pg_catalog.int8;
  place pg_catalog.int8;
  nothing pg_catalog.text;  -- An assignment is evaluated, where PERFORM is planned and run as a query.
BEGIN
  -- 1. The stream: who makes or moves its row has locked it, and found it at the expected version.
  IF expected OPERATOR(pg_catalog.=) 0 THEN
    INSERT INTO log.stream (stream, version) VALUES (name, 1) ON CONFLICT DO NOTHING;
  ELSIF NOT EXISTS (SELECT FROM log.event e
                    WHERE e.stream OPERATOR(pg_catalog.=) name
                      AND e.event_id OPERATOR(pg_catalog.=) id) THEN
    UPDATE log.stream SET version = expected OPERATOR(pg_catalog.+) 1
      WHERE stream OPERATOR(pg_catalog.=) name AND version OPERATOR(pg_catalog.=) expected;
  END IF;
  IF NOT FOUND THEN RETURN NULL; END IF;

  -- 2. Last, as in log.append: one writer at a time from here to the commit.
  nothing := pg_catalog.pg_advisory_xact_lock(7263001)::pg_catalog.text;
  at := (extract(epoch FROM pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.*) 1000000)::pg_catalog.int8;
  UPDATE log.head SET position = position OPERATOR(pg_catalog.+) 1 RETURNING position INTO place;
  INSERT INTO log.event VALUES (place, id, name, expected OPERATOR(pg_catalog.+) 1,
    append_event.category, account, append_event.type, schema, append_event.payload,
    append_event.metadata, at, append_event.digest);
  nothing := pg_catalog.pg_notify('pbxim_log', '')::pg_catalog.text;
  RETURN place;
END $$;

REVOKE ALL ON FUNCTION log.append_event FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log.append_event TO pbxim_app;
