-- Events by subject: a pattern is looked up by leaping from one subject to the next.
CREATE INDEX events_subject ON events (subject, seq);
