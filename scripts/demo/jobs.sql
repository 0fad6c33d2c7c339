-- jobs.sql - what scripts/quickstart enqueues: plain SQL, in one transaction, as an application would.
--
-- psql variables: run, the tag of this run; files, paths of this repository, one a line.
begin;

-- 30 people to greet. The arguments are JSON, so any language's names pass as they are.
select jobq.enqueue('email.send', jsonb_build_object(
    'to', lower(login) || '@example.org',
    'subject', 'Welcome, ' || name,
    'text', format(E'Dear %s,\n\nyour account %s is ready.\n', name, login)),
  tags => array['quickstart', :'run'])
from (values
  ('ann', 'Ann'), ('zoe', 'Zoë'), ('jorg', 'Jörg'), ('agnes', 'Ágnes'), ('nguyen', 'Nguyễn'),
  ('lukasz', 'Łukasz'), ('soren', 'Søren'), ('ipek', 'İpek'), ('chloe', 'Chloé'), ('inigo', 'Íñigo'),
  ('anna-d', 'Анна'), ('olexiy', 'Олексій'), ('yannis', 'Γιάννης'), ('david', 'דוד'), ('layla', 'ليلى'),
  ('parisa', 'پریسا'), ('arjun', 'अर्जुन'), ('meena', 'மீனா'), ('rahim', 'রহিম'), ('somchai', 'สมชาย'),
  ('wei', '王伟'), ('mei-ling', '美玲'), ('hanako', '花子'), ('taro', 'たろう'), ('minjun', '민준'),
  ('tigran', 'Տիգրան'), ('nino', 'ნინო'), ('abebe', 'አበበ'), ('keola', 'Keʻola'), ('smiley', 'Sam 🎉')
) as person (login, name);

-- Files of this repository, compressed with zstd: many jobs of one kind in one call.
select jobq.enqueue_many('file.compress',
  array(select jsonb_build_object('path', path, 'target', '.jobq/files/' || replace(path, '/', '_') || '.zst')
        from unnest(string_to_array(:'files', E'\n')) as path),
  tags => array['quickstart', :'run']);

-- In the sample application: what is old goes, and a user is told something.
select jobq.enqueue('cleanup.invites', tags => array['quickstart', :'run']);
select jobq.enqueue('cleanup.audit_logs', '{"days": 90}', tags => array['quickstart', :'run']);
select jobq.enqueue('notification.push', jsonb_build_object('user', id, 'title', 'Hello, ' || name),
  tags => array['quickstart', :'run'])
from app.users where email = 'dora@example.org';

-- Fails twice, is tried again after 2 s and 4 s, and succeeds.
select jobq.enqueue('demo.flaky', tags => array['quickstart', :'run']);

-- Fails for good: a bug in the handler. The error, its file, line and traceback are kept.
select jobq.enqueue('demo.broken', tags => array['quickstart', :'run']);

-- Five that do nothing, from urgent (0) to whenever (9): a lower number runs sooner.
select jobq.enqueue('demo.noop', priority => number, tags => array['quickstart', :'run'])
from unnest(array[0, 2, 5, 7, 9]) as number;

-- Scheduled for tomorrow; the key keeps a second run from adding it again.
select jobq.enqueue('demo.noop', delay => '1 day', unique_key => 'quickstart tomorrow', tags => array['quickstart']);

-- And one that is taken back before anybody runs it.
select jobq.cancel(jobq.enqueue('demo.noop', priority => 9, tags => array['quickstart', :'run']));

commit;
