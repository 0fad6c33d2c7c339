-- listen_jobs: 'lane ID' when a job came for a sleeper, 'lanes' when there is a new lane.
listen jobq
