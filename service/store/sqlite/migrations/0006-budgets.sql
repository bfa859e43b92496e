-- Budgets count the effects of the last minute, hour or day.
CREATE INDEX effects_created ON effects (created_ms);
