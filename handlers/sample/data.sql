-- A few of each, so that every kind has something to do.
insert into app.users (email, name, locale, time_zone, quiet_from, quiet_to, matrix_id) values
  ('ann@example.org', 'Ann Example', 'en', 'Europe/London', '22:00', '07:00', '@ann:example.org'),
  ('bjoern@example.org', 'Bjørn Ås', 'nb', 'Europe/Oslo', null, null, '@bjoern:example.org'),
  ('chie@example.org', '千恵 山田', 'ja', 'Asia/Tokyo', '21:30', '06:30', '@chie:example.org'),
  ('dora@example.org', 'Dóra "D" <Kovács>', 'hu', 'Europe/Budapest', null, null, null);

insert into app.uploads (user_id, path)
select u.id, 'uploads/' || split_part(u.email, '@', 1) || '/photo.jpg' from app.users u;

insert into app.invites (inviter_id, email, token, created_at, expires_at, accepted_at)
select 1, 'guest' || n || '@example.net', md5('invite ' || n), now() - n * interval '10 days',
  now() + (14 - n * 10) * interval '1 day', case when n = 2 then now() - interval '8 days' end
from generate_series(0, 5) as n;

insert into app.notifications (user_id, topic, title, body, url, created_at)
select u.id, 'comment', 'Comment ' || n, 'Somebody said <b>' || n || '</b> & more', '/posts/' || n,
  now() - n * interval '1 hour'
from app.users u, generate_series(1, 3) as n;

insert into app.subscriptions (user_id, channel, address, keys) values
  (1, 'ntfy', 'ann-alerts', '{}'),
  (2, 'webhook', 'https://hooks.example.org/bjoern', '{"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}');

insert into app.preferences (user_id, topic, channel, wanted) values (3, 'comment', 'webpush', false);

insert into app.suppressions (email, reason) values ('gone@example.org', 'bounced');

insert into app.audit_log (user_id, action, details, created_at)
select 1 + n % 4, 'login', jsonb_build_object('from', '192.0.2.' || n), now() - n * interval '1 day'
from generate_series(1, 400) as n;
