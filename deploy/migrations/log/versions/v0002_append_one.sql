-- Writes the events of one entry, which is what most appends are: without the arrays and the
-- judgement that several entries need, it costs the server half. Out: whether it was written, and
-- the position before the first one. Not written means that it is for log.append to say why: the
-- stream is at another version, or knows one of the events. Then nothing was changed.
CREATE FUNCTION log.append_one(
  name text, expected bigint, category text,
  ids bytea[], accounts text[], types text[], schemas int[], payloads bytea[], metadatas bytea[],
  digests bytea[],
  OUT written boolean, OUT base bigint)
LANGUAGE plpgsql AS $$
DECLARE
  many int := cardinality(ids);
BEGIN
  -- 1. The stream: who makes or moves its row has locked it, and found it at the expected version.
  IF expected = 0 THEN
    INSERT INTO log.stream (stream, version) VALUES (name, many) ON CONFLICT DO NOTHING;
  ELSIF NOT EXISTS (SELECT FROM log.event e WHERE e.stream = name AND e.event_id = ANY (ids)) THEN
    UPDATE log.stream SET version = expected + many WHERE stream = name AND version = expected;
  END IF;
  written := FOUND;
  IF NOT written THEN RETURN; END IF;

  -- 2. Last, as in log.append: one writer at a time from here to the commit.
  PERFORM pg_advisory_xact_lock(7263001);
  UPDATE log.head SET position = position + many RETURNING position - many INTO base;
  IF many = 1 THEN
    INSERT INTO log.event VALUES (base + 1, ids[1], name, expected + 1, append_one.category,
      accounts[1], types[1], schemas[1], payloads[1], metadatas[1],
      (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, digests[1]);
  ELSE
    INSERT INTO log.event
      SELECT base + w.n, w.id, name, expected + w.n, append_one.category, w.account, w.type,
        w.schema, w.payload, w.metadata,
        (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, w.digest
      FROM unnest(ids, accounts, types, schemas, payloads, metadatas, digests) WITH ORDINALITY
        w (id, account, type, schema, payload, metadata, digest, n);
  END IF;
  PERFORM pg_notify('pbxim_log', '');
END $$;

REVOKE ALL ON FUNCTION log.append_one FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log.append_one TO pbxim_app;
