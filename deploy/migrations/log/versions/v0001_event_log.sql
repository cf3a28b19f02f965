-- Texts compare by code point, as Python sorts them and as every cluster does: an index that is
-- restored under another locale stays right.

CREATE TABLE log.head (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  position bigint NOT NULL,
  log_id text NOT NULL);
INSERT INTO log.head (position, log_id) VALUES (0, gen_random_uuid()::text);

-- One row per stream: what a writer locks.
CREATE TABLE log.stream (
  stream text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL) WITH (fillfactor = 80);

CREATE TABLE log.event (
  position bigint PRIMARY KEY,
  event_id bytea NOT NULL,
  stream text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  category text COLLATE "C" NOT NULL,
  account_id text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  schema_version integer NOT NULL,
  payload bytea NOT NULL,
  metadata bytea NOT NULL,
  recorded_at bigint NOT NULL,
  digest bytea NOT NULL,
  UNIQUE (stream, version),
  UNIQUE (stream, event_id));

CREATE FUNCTION log.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'events are for ever' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER event_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON log.event
  FOR EACH STATEMENT EXECUTE FUNCTION log.refuse();
CREATE TRIGGER head_no_delete BEFORE DELETE OR TRUNCATE ON log.head
  FOR EACH STATEMENT EXECUTE FUNCTION log.refuse();
CREATE TRIGGER head_no_return BEFORE UPDATE ON log.head
  FOR EACH ROW WHEN (NEW.position < OLD.position OR NEW.log_id <> OLD.log_id)
  EXECUTE FUNCTION log.refuse();
CREATE TRIGGER stream_no_delete BEFORE DELETE OR TRUNCATE ON log.stream
  FOR EACH STATEMENT EXECUTE FUNCTION log.refuse();
CREATE TRIGGER stream_no_return BEFORE UPDATE ON log.stream
  FOR EACH ROW WHEN (NEW.version < OLD.version OR NEW.stream <> OLD.stream)
  EXECUTE FUNCTION log.refuse();

-- Writes entries, each for itself. In: the streams (sorted, each once); those that may be new, and
-- with how many events if all of them come with one entry (else 0); per entry its stream's index, expected version, number of events; per event the first event of
-- this call with the same stream and id, then what is stored. Out: the position before the first
-- one added; per entry -1 (written), -2 (only a part is known) or the actual version (conflict); per
-- event its position, or -n for the n-th one added.
CREATE FUNCTION log.append(
  names text[], fresh text[], fresh_events int[],
  entry_stream int[], entry_expected bigint[], entry_events int[],
  slots int[],
  ids bytea[], streams text[], versions bigint[], categories text[], accounts text[],
  types text[], schemas int[], payloads bytea[], metadatas bytea[], digests bytea[],
  OUT base bigint, OUT actual bigint[], OUT positions bigint[])
LANGUAGE plpgsql AS $$
DECLARE
  current bigint[];
  known bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(ids)]);
  added int := 0;
  takes int[] := array_fill(NULL::int, ARRAY[cardinality(ids)]);
  seen int := 0;
  born text[] := '{}';
  found int;
  n bigint;
BEGIN
  base := 0;
  actual := array_fill(0::bigint, ARRAY[cardinality(entry_events)]);
  positions := array_fill(NULL::bigint, ARRAY[cardinality(ids)]);

  -- 1. The streams, in one order for everybody, so that no two writers wait for each other. Who makes
  --    a stream has locked it, and one alone needs no order: both are worth a statement less. A new
  --    stream is at expected version 0 and knows no event, so its one entry will be written: it is
  --    made with the version it is going to have.
  IF cardinality(fresh) > 0 THEN
    WITH made AS (
      INSERT INTO log.stream (stream, version) SELECT * FROM unnest(fresh, fresh_events)
        ON CONFLICT DO NOTHING RETURNING stream)
      SELECT coalesce(array_agg(stream), '{}') INTO born FROM made;
  END IF;
  IF cardinality(born) = cardinality(names) THEN
    current := array_fill(0::bigint, ARRAY[cardinality(names)]);
  ELSIF cardinality(names) = 1 THEN
    SELECT version INTO n FROM log.stream WHERE stream = names[1] FOR UPDATE;
    current := ARRAY[coalesce(n, 0)];
  ELSE
    SELECT array_agg(CASE WHEN w.name = ANY (born) THEN 0 ELSE coalesce(s.version, 0) END
                     ORDER BY w.n) INTO current
      FROM unnest(names) WITH ORDINALITY w (name, n)
      LEFT JOIN (SELECT stream, version FROM log.stream WHERE stream = ANY (names)
                 ORDER BY stream FOR UPDATE) s ON s.stream = w.name;
  END IF;

  -- 2. What is in them already. Nobody else can add to them now.
  IF 0 < ANY (current) THEN
    SELECT array_agg((SELECT e.position FROM log.event e
                      WHERE e.stream = w.stream AND e.event_id = w.id) ORDER BY w.n) INTO known
      FROM unnest(streams, ids) WITH ORDINALITY w (stream, id, n);
  END IF;

  -- 3. The judgement, in the order of the entries.
  FOR i IN 1 .. cardinality(entry_events) LOOP
    n := entry_events[i];
    found := 0;
    FOR j IN seen + 1 .. seen + n LOOP
      positions[j] := known[slots[j]];
      IF positions[j] IS NOT NULL THEN found := found + 1; END IF;
    END LOOP;
    IF found = n THEN
      actual[i] := -1;
    ELSIF current[entry_stream[i]] <> entry_expected[i] THEN
      actual[i] := current[entry_stream[i]];
    ELSIF found > 0 THEN
      actual[i] := -2;
    ELSE
      actual[i] := -1;
      FOR j IN seen + 1 .. seen + n LOOP
        added := added + 1;
        takes[j] := added;
        positions[j] := -added;
        known[slots[j]] := -added;
      END LOOP;
      current[entry_stream[i]] := entry_expected[i] + n;
    END IF;
    seen := seen + n;
  END LOOP;
  IF added = 0 THEN RETURN; END IF;

  IF cardinality(born) < cardinality(names) OR 0 = ANY (fresh_events) THEN
    UPDATE log.stream s SET version = w.version FROM unnest(names, current) w (stream, version)
      WHERE s.stream = w.stream AND s.version < w.version;
  END IF;

  -- 4. Last: one writer at a time from here to the commit, so positions are in commit order and a
  --    transaction that is rolled back leaves none behind.
  PERFORM pg_advisory_xact_lock(7263001);
  UPDATE log.head SET position = position + added RETURNING position - added INTO base;
  INSERT INTO log.event
    SELECT base + w.take, w.id, w.stream, w.version, w.category, w.account, w.type, w.schema,
      w.payload, w.metadata, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, w.digest
    FROM unnest(takes, ids, streams, versions, categories, accounts, types, schemas, payloads,
                metadatas, digests)
      w (take, id, stream, version, category, account, type, schema, payload, metadata, digest)
    WHERE w.take IS NOT NULL;
  PERFORM pg_notify('pbxim_log', '');
END $$;

-- The application may add and read, and move the head and the streams forward; nothing else. Make a
-- login role of your own in it: CREATE ROLE pbxim LOGIN IN ROLE pbxim_app.
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pbxim_app') THEN
    CREATE ROLE pbxim_app NOLOGIN;
  END IF;
END $$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA log FROM PUBLIC;
GRANT USAGE ON SCHEMA log TO pbxim_app;
GRANT SELECT ON log.head, log.stream, log.event, log.alembic_version TO pbxim_app;
GRANT INSERT ON log.stream, log.event TO pbxim_app;
GRANT UPDATE (position) ON log.head TO pbxim_app;
GRANT UPDATE (version) ON log.stream TO pbxim_app;
GRANT EXECUTE ON FUNCTION log.append TO pbxim_app;
