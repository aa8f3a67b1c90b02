-- Who waits for a job with a higher id, as only `edit` and graphs make it: mostly nobody.
CREATE INDEX dependencies_up ON dependencies (child) WHERE parent > child;
