-- Alerts that are heard in chat rooms. `heard`: who told it there, empty for an alert that came by webhook. `names`: a JSON
-- list of what else it is called, so that an alert that comes both ways is known as one.
ALTER TABLE alerts ADD COLUMN heard TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN names TEXT NOT NULL DEFAULT '[]';
